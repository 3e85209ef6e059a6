package main

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	kubeinformers "k8s.io/client-go/informers"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
)

const (
	objects = 20
	changes = 5
	resync  = time.Second
	// Watches end after this many seconds, so that a check of some seconds sees them resumed again and again.
	watchSeconds = 1
)

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// witness counts what an informer tells, and holds it to what informers promise.
type witness struct {
	sync.Mutex
	added, updated, deleted, resynced int
	versions                          map[string]string
	wrong                             []string
}

func newWitness() *witness { return &witness{versions: map[string]string{}} }

func identity(obj any) (string, string) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	found, err := meta.Accessor(obj)
	if err != nil {
		panic(err)
	}
	return found.GetName(), found.GetResourceVersion()
}

func (w *witness) handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			w.Lock()
			defer w.Unlock()
			name, version := identity(obj)
			if _, known := w.versions[name]; known {
				w.wrong = append(w.wrong, name+" was added twice")
			}
			w.added++
			w.versions[name] = version
		},
		UpdateFunc: func(before, after any) {
			w.Lock()
			defer w.Unlock()
			name, old := identity(before)
			_, version := identity(after)
			if w.versions[name] != old {
				w.wrong = append(w.wrong, fmt.Sprintf("%s changed from %s, told was %s", name, old, w.versions[name]))
			}
			if old == version {
				w.resynced++
				return
			}
			w.updated++
			w.versions[name] = version
		},
		DeleteFunc: func(obj any) {
			w.Lock()
			defer w.Unlock()
			name, _ := identity(obj)
			w.deleted++
			delete(w.versions, name)
		},
	}
}

func (w *witness) facts() (facts, error) {
	w.Lock()
	defer w.Unlock()
	if len(w.wrong) > 0 {
		return nil, fmt.Errorf("%d wrong tellings, the first: %s", len(w.wrong), w.wrong[0])
	}
	return facts{"added": w.added, "updated": w.updated, "deleted": w.deleted, "resynced": w.resynced > 0}, nil
}

// shortWatches lets the server end every watch soon; lists are left alone.
func shortWatches(options *metav1.ListOptions) {
	options.LabelSelector = "clientgo=mine"
	seconds := int64(watchSeconds)
	options.TimeoutSeconds = &seconds
}

// churn creates, changes and deletes ConfigMaps while watches come and go; a third of them stay.
func churn(ctx context.Context, here *place) error {
	client := here.typed.CoreV1().ConfigMaps(here.namespace)
	for n := range objects {
		name := fmt.Sprintf("churned-%d", n)
		obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"clientgo": "mine"}}}
		made, err := client.Create(ctx, obj, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		for change := range changes {
			made.Data = map[string]string{"change": fmt.Sprint(change)}
			if made, err = client.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
				return err
			}
			time.Sleep(20 * time.Millisecond)
		}
		if n%3 != 0 {
			if err := client.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// settled waits until the witness has every object in the version that the server has.
func settled(ctx context.Context, here *place, w *witness) error {
	for {
		listed, err := here.typed.CoreV1().ConfigMaps(here.namespace).List(ctx, metav1.ListOptions{LabelSelector: "clientgo=mine"})
		if err != nil {
			return err
		}
		live := map[string]string{}
		for _, obj := range listed.Items {
			live[obj.Name] = obj.ResourceVersion
		}
		w.Lock()
		same := maps.Equal(live, w.versions)
		w.Unlock()
		if same {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server has %v, told was %v", live, w.versions)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// follow runs an informer through a churn.
func follow(ctx context.Context, here *place, informer cache.SharedInformer) (facts, error) {
	w := newWitness()
	if _, err := informer.AddEventHandlerWithResyncPeriod(w.handler(), resync); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go informer.Run(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, fmt.Errorf("the informer never synced")
	}
	if err := churn(ctx, here); err != nil {
		return nil, err
	}
	if err := settled(ctx, here, w); err != nil {
		return nil, err
	}
	time.Sleep(2 * resync)
	return w.facts()
}

func informers(ctx context.Context, here *place) (facts, error) {
	factory := kubeinformers.NewSharedInformerFactoryWithOptions(here.typed, resync,
		kubeinformers.WithNamespace(here.namespace), kubeinformers.WithTweakListOptions(shortWatches))
	maps := factory.Core().V1().ConfigMaps()
	found, err := follow(ctx, here, maps.Informer())
	if err != nil {
		return nil, err
	}
	listed, err := maps.Lister().ConfigMaps(here.namespace).List(labels.Everything())
	if err != nil {
		return nil, err
	}
	found["listed"] = len(listed)
	return found, nil
}

func dynamicInformer(ctx context.Context, here *place) (facts, error) {
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(here.dynamic, resync, here.namespace, shortWatches)
	return follow(ctx, here, factory.ForResource(configMaps).Informer())
}

func metadataInformer(ctx context.Context, here *place) (facts, error) {
	factory := metadatainformer.NewFilteredSharedInformerFactory(here.metadata, resync, here.namespace, shortWatches)
	return follow(ctx, here, factory.ForResource(configMaps).Informer())
}
