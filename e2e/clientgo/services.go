package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/tools/reference"
)

// discovery finds kinds as clients do that know no type beforehand.
func discovery(ctx context.Context, here *place) (facts, error) {
	client := here.typed.Discovery()
	version, err := client.ServerVersion()
	if err != nil {
		return nil, err
	}
	preferred, err := client.ServerPreferredResources()
	if err != nil {
		return nil, err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client))
	mapping, err := mapper.RESTMapping(schema.GroupKind{Group: "flagger.app", Kind: "Canary"})
	if err != nil {
		return nil, err
	}
	paths, err := client.OpenAPIV3().Paths()
	if err != nil {
		return nil, err
	}
	doc, err := paths["apis/flagger.app/v1beta1"].Schema("application/json")
	if err != nil {
		return nil, err
	}
	return facts{
		"major": version.Major, "groups": len(preferred) > 5, "canaries": mapping.Resource.Resource,
		"schema": strings.Contains(string(doc), "stepWeight"),
	}, nil
}

// candidate stands for election on a Lease; won is called when it leads.
func candidate(ctx context.Context, here *place, name string, won func(string)) error {
	lock := &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Name: "elected", Namespace: here.namespace},
		Client:     here.typed.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: name},
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: 3 * time.Second, RenewDeadline: 2 * time.Second, RetryPeriod: 200 * time.Millisecond,
		ReleaseOnCancel: true, Name: name,
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { won(name) }, OnStoppedLeading: func() {}},
	})
	if err != nil {
		return err
	}
	elector.Run(ctx)
	return nil
}

// election lets two stand: one leads, and when it goes the other does.
func election(ctx context.Context, here *place) (facts, error) {
	var group sync.WaitGroup
	leaders, failed := make(chan string, 4), make(chan error, 2)
	stops := map[string]context.CancelFunc{}
	for _, name := range []string{"one", "two"} {
		each, stop := context.WithCancel(ctx)
		stops[name] = stop
		group.Add(1)
		go func() {
			defer group.Done()
			if err := candidate(each, here, name, func(who string) { leaders <- who }); err != nil {
				failed <- err
			}
		}()
	}
	defer group.Wait()
	defer func() {
		for _, stop := range stops {
			stop()
		}
	}()
	order := []string{}
	for len(order) < 2 {
		select {
		case who := <-leaders:
			order = append(order, who)
			time.Sleep(time.Second)
			if len(leaders) > 0 {
				return nil, fmt.Errorf("two leaders at once: %s and %s", who, <-leaders)
			}
			stops[who]()
		case err := <-failed:
			return nil, err
		case <-ctx.Done():
			return nil, fmt.Errorf("leaders so far: %v", order)
		}
	}
	lease, err := here.typed.CoordinationV1().Leases(here.namespace).Get(ctx, "elected", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return facts{"leaders": len(order), "different": order[0] != order[1], "transitions": *lease.Spec.LeaseTransitions > 0}, nil
}

// recordedEvents tells the same thing three times, which makes one Event with a count.
func recordedEvents(ctx context.Context, here *place) (facts, error) {
	core := here.typed.CoreV1()
	about, err := core.ConfigMaps(here.namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "told-of"}}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	ref, err := reference.GetReference(scheme.Scheme, about)
	if err != nil {
		return nil, err
	}
	teller := record.NewBroadcaster(record.WithContext(ctx))
	teller.StartRecordingToSink(&corev1client.EventSinkImpl{Interface: core.Events(here.namespace)})
	recorder := teller.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "clientgo"})
	for range 3 {
		recorder.Event(ref, corev1.EventTypeNormal, "Told", "the same text")
	}
	for {
		listed, err := core.Events(here.namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=told-of,reason=Told"})
		if err != nil {
			return nil, err
		}
		if len(listed.Items) == 1 && listed.Items[0].Count == 3 {
			return facts{"events": 1, "count": 3}, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d events", len(listed.Items))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// podLogs reads what a pod wrote, by a typed client.
func podLogs(ctx context.Context, here *place) (facts, error) {
	made, one := deployment("logged"), int32(1)
	made.Spec.Replicas = &one
	if _, err := here.typed.AppsV1().Deployments(here.namespace).Create(ctx, made, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	pods := here.typed.CoreV1().Pods(here.namespace)
	for {
		listed, err := pods.List(ctx, metav1.ListOptions{LabelSelector: "app=logged", FieldSelector: "status.phase=Running"})
		if err != nil {
			return nil, err
		}
		if len(listed.Items) == 1 {
			stream, err := pods.GetLogs(listed.Items[0].Name, &corev1.PodLogOptions{}).Stream(ctx)
			if err != nil {
				return nil, err
			}
			defer stream.Close()
			text, err := io.ReadAll(stream)
			return facts{"logged": len(text) > 0}, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d pods run", len(listed.Items))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
