// Command controlplane is kube-apiserver and kube-controller-manager in one binary, so that tests have a real control
// plane without a download of release archives: both commands come from the Kubernetes module, unchanged.
//
//	controlplane kube-apiserver [flags]
//	controlplane kube-controller-manager [flags]
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	parts := map[string]func() *cobra.Command{
		"kube-apiserver":          apiserver.NewAPIServerCommand,
		"kube-controller-manager": controllers.NewControllerManagerCommand,
	}
	if len(os.Args) < 2 || parts[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: controlplane kube-apiserver|kube-controller-manager [flags]")
		os.Exit(2)
	}
	command := parts[os.Args[1]]()
	// The commands print and read their own arguments; they must not see the name of the part.
	os.Args = os.Args[1:]
	command.SetArgs(os.Args[1:])
	os.Exit(cli.Run(command))
}
