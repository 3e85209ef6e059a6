package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	appsapply "k8s.io/client-go/applyconfigurations/apps/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/util/retry"
)

const (
	writers    = 8
	increments = 10
)

// Some writer always gets through, so the others only have to ask often enough, however slow the machine.
var contention = wait.Backoff{Steps: 1000, Duration: 5 * time.Millisecond, Factor: 1, Jitter: 1}

func deployment(name string) *appsv1.Deployment {
	wears, none := map[string]string{"app": name}, int32(0)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &none,
			Selector: &metav1.LabelSelector{MatchLabels: wears},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: wears},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "ghcr.io/stefanprodan/podinfo:6.0.0"}}},
			},
		},
	}
}

// conflicts lets many writers count in one object: an update of an old version is refused, and retried none is lost.
func conflicts(ctx context.Context, here *place) (facts, error) {
	client := here.typed.CoreV1().ConfigMaps(here.namespace)
	first, err := client.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "counter"}}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	second := first.DeepCopy()
	first.Data = map[string]string{"n": "0"}
	if _, err = client.Update(ctx, first, metav1.UpdateOptions{}); err != nil {
		return nil, err
	}
	second.Data = map[string]string{"n": "99"}
	if _, err = client.Update(ctx, second, metav1.UpdateOptions{}); !errors.IsConflict(err) {
		return nil, fmt.Errorf("an update of an old version: %v", err)
	}
	var (
		group   sync.WaitGroup
		lock    sync.Mutex
		refused int
		failed  error
	)
	for range writers {
		group.Add(1)
		go func() {
			defer group.Done()
			for range increments {
				err := retry.RetryOnConflict(contention, func() error {
					err := increment(ctx, here)
					if errors.IsConflict(err) {
						lock.Lock()
						refused++
						lock.Unlock()
					}
					return err
				})
				if err != nil {
					lock.Lock()
					failed = err
					lock.Unlock()
				}
			}
		}()
	}
	group.Wait()
	if failed != nil {
		return nil, failed
	}
	last, err := client.Get(ctx, "counter", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return facts{"counted": last.Data["n"], "refused": refused > 0}, nil
}

func increment(ctx context.Context, here *place) error {
	client := here.typed.CoreV1().ConfigMaps(here.namespace)
	obj, err := client.Get(ctx, "counter", metav1.GetOptions{})
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(obj.Data["n"])
	if err != nil {
		return err
	}
	obj.Data["n"] = strconv.Itoa(n + 1)
	_, err = client.Update(ctx, obj, metav1.UpdateOptions{})
	return err
}

// typedWrites goes through the verbs of a typed client, and the errors that callers tell apart.
func typedWrites(ctx context.Context, here *place) (facts, error) {
	client := here.typed.AppsV1().Deployments(here.namespace)
	_, err := client.Create(ctx, deployment("typed"), metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	if _, err = client.Create(ctx, deployment("typed"), metav1.CreateOptions{}); !errors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("created twice: %v", err)
	}
	if _, err = client.Get(ctx, "nobody", metav1.GetOptions{}); !errors.IsNotFound(err) {
		return nil, fmt.Errorf("get of what is not there: %v", err)
	}
	// The Deployment's controller writes to it at the same time.
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		made, err := client.Get(ctx, "typed", metav1.GetOptions{})
		if err != nil {
			return err
		}
		made.Spec.Selector.MatchLabels = map[string]string{"app": "another"}
		_, err = client.Update(ctx, made, metav1.UpdateOptions{})
		return err
	})
	if !errors.IsInvalid(err) {
		return nil, fmt.Errorf("a selector changed: %v", err)
	}
	patch := []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"A","value":"b"}]}]}}}}`)
	patched, err := client.Patch(ctx, "typed", types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return nil, err
	}
	if app := patched.Spec.Template.Spec.Containers[0]; app.Image == "" || len(app.Env) != 1 {
		return nil, fmt.Errorf("patched to %v", app)
	}
	scaled := int32(0)
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		scale, err := client.GetScale(ctx, "typed", metav1.GetOptions{})
		if err != nil {
			return err
		}
		scale.Spec.Replicas = 1
		if scale, err = client.UpdateScale(ctx, "typed", scale, metav1.UpdateOptions{}); err == nil {
			scaled = scale.Spec.Replicas
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	policy := metav1.DeletePropagationForeground
	if err = client.Delete(ctx, "typed", metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
		return nil, err
	}
	secrets := here.typed.CoreV1().Secrets(here.namespace)
	for n := range 3 {
		obj := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("typed-%d", n), Labels: map[string]string{"clientgo": "typed"}}, StringData: map[string]string{"k": "v"}}
		if _, err = secrets.Create(ctx, obj, metav1.CreateOptions{}); err != nil {
			return nil, err
		}
	}
	mine := metav1.ListOptions{LabelSelector: "clientgo=typed"}
	listed, err := secrets.List(ctx, mine)
	if err != nil {
		return nil, err
	}
	if err = secrets.DeleteCollection(ctx, metav1.DeleteOptions{}, mine); err != nil {
		return nil, err
	}
	left, err := secrets.List(ctx, mine)
	if err != nil {
		return nil, err
	}
	return facts{"scaled": scaled, "secret": string(listed.Items[0].Data["k"]), "left": len(left.Items)}, nil
}

// serverSideApply lets two managers own fields of one object, until one of them wants what is the other's.
func serverSideApply(ctx context.Context, here *place) (facts, error) {
	client := here.typed.AppsV1().Deployments(here.namespace)
	wears := map[string]string{"app": "applied"}
	wanted := appsapply.Deployment("applied", here.namespace).WithSpec(appsapply.DeploymentSpec().
		WithReplicas(0).
		WithSelector(metaapply.LabelSelector().WithMatchLabels(wears)).
		WithTemplate(coreapply.PodTemplateSpec().WithLabels(wears).WithSpec(coreapply.PodSpec().
			WithContainers(coreapply.Container().WithName("app").WithImage("ghcr.io/stefanprodan/podinfo:6.0.0")))))
	if _, err := client.Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: "one"}); err != nil {
		return nil, err
	}
	other := appsapply.Deployment("applied", here.namespace).WithSpec(appsapply.DeploymentSpec().WithReplicas(2))
	_, err := client.Apply(ctx, other, metav1.ApplyOptions{FieldManager: "two"})
	refused := errors.IsConflict(err)
	taken, err := client.Apply(ctx, other, metav1.ApplyOptions{FieldManager: "two", Force: true})
	if err != nil {
		return nil, err
	}
	return facts{"refused": refused, "replicas": *taken.Spec.Replicas}, client.Delete(ctx, "applied", metav1.DeleteOptions{})
}

// canaryObjects is how an operator in Go would keep Canaries: spec and status apart, each with its version.
func canaryObjects(ctx context.Context, here *place) (facts, error) {
	client := here.dynamic.Resource(canaries).Namespace(here.namespace)
	made, err := client.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "flagger.app/v1beta1", "kind": "Canary",
		"metadata": map[string]any{"name": "made-by-go"},
		"spec": map[string]any{
			"suspend":   true,
			"targetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "nobody"},
			"service":   map[string]any{"port": int64(80)},
			"analysis":  map[string]any{"interval": "10s", "threshold": int64(2), "stepWeight": int64(10), "maxWeight": int64(50)},
		},
	}}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	old := made.DeepCopy()
	if err = unstructured.SetNestedField(made.Object, int64(7), "status", "canaryWeight"); err != nil {
		return nil, err
	}
	if err = unstructured.SetNestedField(made.Object, "Initialized", "status", "phase"); err != nil {
		return nil, err
	}
	if made, err = client.UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
		return nil, err
	}
	_, stale := client.UpdateStatus(ctx, old, metav1.UpdateOptions{})
	if err = unstructured.SetNestedField(made.Object, "ignored", "status", "phase"); err != nil {
		return nil, err
	}
	if err = unstructured.SetNestedField(made.Object, int64(20), "spec", "analysis", "maxWeight"); err != nil {
		return nil, err
	}
	if made, err = client.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
		return nil, err
	}
	phase, _, _ := unstructured.NestedString(made.Object, "status", "phase")
	_, wrong := client.Patch(ctx, "made-by-go", types.MergePatchType, []byte(`{"spec":{"service":{"port":"eighty"}}}`), metav1.PatchOptions{})
	listed, err := here.dynamic.Resource(canaries).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, err
	}
	found := facts{
		"phase": phase, "generation": made.GetGeneration(), "stale refused": errors.IsConflict(stale),
		"nonsense refused": errors.IsInvalid(wrong), "listed": len(listed.Items),
	}
	return found, client.Delete(ctx, "made-by-go", metav1.DeleteOptions{})
}
