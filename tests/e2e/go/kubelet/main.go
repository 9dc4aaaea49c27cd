// The kubelet's own way to a login: the plugin code of Kubernetes registers the providers of a
// configuration and looks images up as for a pod, one JSON line each: the logins in the order in
// which the kubelet tries them.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/plugin"
)

var (
	config   = flag.String("config", "", "a CredentialProviderConfig")
	programs = flag.String("bin-dir", "", "the directory of the providers")
	account  = flag.String("service-account", "", "the pod's service account")
	role     = flag.String("role", "", "its annotation eks.amazonaws.com/ecr-role-arn")
	renewed  = flag.Duration("until-renewed", 0, "look up for so long, until the login is another")
)

// The API server's part: a service account, and a token for it, which is in SERVICE_ACCOUNT_TOKEN.

func serviceAccount(namespace, name string) (*core.ServiceAccount, error) {
	found := &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{
		Namespace: namespace, Name: name, UID: "uid-of-account",
	}}
	if *role != "" {
		found.Annotations = map[string]string{"eks.amazonaws.com/ecr-role-arn": *role}
	}
	return found, nil
}

func token(_, _ string, request *authentication.TokenRequest) (*authentication.TokenRequest, error) {
	if audience := request.Spec.Audiences; len(audience) != 1 || audience[0] != "sts.amazonaws.com" {
		return nil, fmt.Errorf("a token for %v", audience)
	}
	request.Status.Token = os.Getenv("SERVICE_ACCOUNT_TOKEN")
	return request, nil
}

type login struct {
	Username       string `json:"username"`
	Password       string `json:"password"`
	ServiceAccount string `json:"serviceAccount"`
}

func lookUp(image string) []login {
	keyring := plugin.NewExternalCredentialProviderDockerKeyring("team", "pod", "uid-of-pod", *account)
	found, _ := keyring.Lookup(image)
	logins := []login{}
	for _, each := range found {
		logins = append(logins, login{each.Username, each.Password, accountOf(each.Source)})
	}
	return logins
}

func accountOf(source *credentialprovider.CredentialSource) string {
	if source == nil || source.ServiceAccount == nil {
		return ""
	}
	return source.ServiceAccount.Namespace + "/" + source.ServiceAccount.Name
}

func run() error {
	if err := plugin.RegisterCredentialProviderPlugins(*config, *programs, token, serviceAccount); err != nil {
		return err
	}
	answers := json.NewEncoder(os.Stdout)
	var last []login
	for _, image := range flag.Args() {
		last = lookUp(image)
		answers.Encode(last)
	}
	for end := time.Now().Add(*renewed); *renewed > 0; time.Sleep(50 * time.Millisecond) {
		if found := lookUp(flag.Args()[flag.NArg()-1]); !slices.Equal(found, last) {
			answers.Encode(found)
			return nil
		}
		if time.Now().After(end) {
			return errors.New("the login has not been renewed")
		}
	}
	return nil
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
