"""All access to the API server: transport, client, watch cache, writes, Lease, Events."""
