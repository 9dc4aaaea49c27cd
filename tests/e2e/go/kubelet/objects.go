package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm/v1beta4"
	"k8s.io/kubernetes/pkg/registry/rbac/validation"
	authorizers "k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"
)

// What NodeRestriction asks the authorizer before a node is given a token of a service account for
// an audience that no volume of the pod has (validateNodeServiceAccountAudience in its admission.go).
var wanted = authorizer.AttributesRecord{
	User: &user.DefaultInfo{
		Name: "system:node:one", Groups: []string{user.NodesGroup, user.AllAuthenticated},
	},
	Verb:            "request-serviceaccounts-token-audience",
	APIVersion:      "v1",
	Resource:        "sts.amazonaws.com",
	Namespace:       "team",
	Name:            "puller",
	ResourceRequest: true,
}

// check decodes each API object in a file as strictly as the API server can, and prints their kinds,
// and whether RBAC with these objects gives nodes what is wanted.
func check(path string) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		core.AddToScheme, rbac.AddToScheme, kubeadm.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var kinds []string
	var roles []*rbac.ClusterRole
	var bindings []*rbac.ClusterRoleBinding
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		object, kind, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		kinds = append(kinds, kind.Kind)
		switch object := object.(type) {
		case *rbac.ClusterRole:
			roles = append(roles, object)
		case *rbac.ClusterRoleBinding:
			bindings = append(bindings, object)
		}
	}
	_, known := validation.NewTestRuleResolver(nil, nil, roles, bindings)
	decision, _, err := authorizers.New(known, known, known, known).Authorize(context.Background(), wanted)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"kinds": kinds, "allowed": decision == authorizer.DecisionAllow,
	})
}
