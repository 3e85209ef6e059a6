// Clientgo does on a cluster what operators and controllers written in Go do, and fails when the API server does not
// answer as they expect. Usage: clientgo CHECK NAMESPACE, with KUBECONFIG set; CONTENT=protobuf sends and asks for
// protobuf. The namespace must be there; what a check needs it makes, and it says what it counted as a JSON object.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const patience = 60 * time.Second

var canaries = schema.GroupVersionResource{Group: "flagger.app", Version: "v1beta1", Resource: "canaries"}

// place is a namespace on a cluster and the clients that a check may use.
type place struct {
	namespace string
	config    *rest.Config
	typed     *kubernetes.Clientset
	dynamic   dynamic.Interface
	metadata  metadata.Interface
}

// facts are what a check counted.
type facts map[string]any

type check func(context.Context, *place) (facts, error)

var checks = map[string]check{
	"informers": informers,
	"dynamic":   dynamicInformer,
	"metadata":  metadataInformer,
	"conflicts": conflicts,
	"typed":     typedWrites,
	"apply":     serverSideApply,
	"canaries":  canaryObjects,
	"discovery": discovery,
	"election":  election,
	"events":    recordedEvents,
	"logs":      podLogs,
}

func open(namespace string) (*place, error) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 500, 500
	here := &place{namespace: namespace, config: config}
	// Custom objects are JSON always.
	if here.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	if here.metadata, err = metadata.NewForConfig(config); err != nil {
		return nil, err
	}
	words := rest.CopyConfig(config)
	if os.Getenv("CONTENT") == "protobuf" {
		words.ContentType = "application/vnd.kubernetes.protobuf"
		words.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	}
	here.typed, err = kubernetes.NewForConfig(words)
	return here, err
}

func names() string {
	known := make([]string, 0, len(checks))
	for name := range checks {
		known = append(known, name)
	}
	sort.Strings(known)
	return strings.Join(known, " ")
}

func run(words []string) error {
	if len(words) != 2 || checks[words[0]] == nil {
		return fmt.Errorf("usage: clientgo CHECK NAMESPACE; checks: %s", names())
	}
	here, err := open(words[1])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	found, err := checks[words[0]](ctx, here)
	if err != nil {
		return fmt.Errorf("%s: %w", words[0], err)
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
