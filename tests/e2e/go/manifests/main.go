// What an API server of Kubernetes makes of manifests, before it would keep them: each document on
// stdin is decoded strictly, gets its defaults, and is validated by the server's own code. And what a
// kubelet makes of a pull secret: with -image, the logins in one for an image are printed.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/batch"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	batchvalidation "k8s.io/kubernetes/pkg/apis/batch/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/rbac"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	rbacvalidation "k8s.io/kubernetes/pkg/apis/rbac/validation"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
)

var image = flag.String("image", "", "the image that is pulled with the secrets")

func validate(object runtime.Object) field.ErrorList {
	switch one := object.(type) {
	case *core.Secret:
		namespaced(&one.Namespace)
		return validation.ValidateSecret(one)
	case *core.ServiceAccount:
		namespaced(&one.Namespace)
		return validation.ValidateServiceAccount(one)
	case *core.ConfigMap:
		namespaced(&one.Namespace)
		return validation.ValidateConfigMap(one)
	case *core.Pod:
		namespaced(&one.Namespace)
		return validation.ValidatePodCreate(one, validation.PodValidationOptions{})
	case *batch.CronJob:
		namespaced(&one.Namespace)
		return batchvalidation.ValidateCronJobCreate(one, validation.PodValidationOptions{})
	case *rbac.Role:
		namespaced(&one.Namespace)
		return rbacvalidation.ValidateRole(one)
	case *rbac.RoleBinding:
		namespaced(&one.Namespace)
		return rbacvalidation.ValidateRoleBinding(one)
	case *rbac.ClusterRole:
		return rbacvalidation.ValidateClusterRole(one, rbacvalidation.ClusterRoleValidationOptions{})
	case *rbac.ClusterRoleBinding:
		return rbacvalidation.ValidateClusterRoleBinding(one)
	}
	return field.ErrorList{field.Invalid(field.NewPath("kind"), fmt.Sprintf("%T", object), "not known here")}
}

// An object without a namespace gets the one of the request.
func namespaced(namespace *string) {
	if *namespace == "" {
		*namespace = "default"
	}
}

func logins(text []byte, image string) error {
	var secret v1.Secret
	if err := yaml.Unmarshal(text, &secret); err != nil {
		return err
	}
	none := &credentialprovider.BasicDockerKeyring{}
	keyring, err := secrets.MakeDockerKeyring([]v1.Secret{secret}, none)
	if err != nil {
		return err
	}
	found, _ := keyring.Lookup(image)
	for _, login := range found {
		fmt.Printf("%s:%s\n", login.Username, login.Password)
	}
	return nil
}

func main() {
	flag.Parse()
	codecs := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict)
	documents := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	failed := false
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		object, kind, err := codecs.UniversalDecoder(
			core.SchemeGroupVersion, batch.SchemeGroupVersion, rbac.SchemeGroupVersion,
		).Decode(text, nil, nil)
		if err == nil {
			err = validate(object).ToAggregate()
		}
		if err == nil && *image != "" {
			err = logins(text, *image)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			failed = true
			continue
		}
		if *image == "" {
			fmt.Println(kind.Kind)
		}
	}
	if failed {
		os.Exit(1)
	}
}
