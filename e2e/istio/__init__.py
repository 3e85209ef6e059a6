"""Provider `istio` with real traffic: Istio's control plane, and a stock Envoy as its gateway (`make e2e-istio`)."""
