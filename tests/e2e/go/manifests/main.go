// What Kubernetes makes of manifests. Each document on stdin is decoded strictly, and validated by the
// API server's own code before it would keep it; its kind is printed.
//
// With -image the logins are printed in place of the kinds with which a kubelet would pull that image
// by the Secrets. With -audience the last line says whether RBAC by these objects lets a node have a
// token of a service account for that audience.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm/v1beta4"
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
	rules "k8s.io/kubernetes/pkg/registry/rbac/validation"
	rbacauthorizer "k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"
)

var (
	image    = flag.String("image", "", "the image that is pulled with the Secrets")
	audience = flag.String("audience", "", "the audience that a node asks a token for")
)

func validate(object runtime.Object) field.ErrorList {
	switch one := object.(type) {
	case *core.Secret:
		namespaced(&one.Namespace)
		return validation.ValidateSecret(one)
	case *core.ServiceAccount:
		namespaced(&one.Namespace)
		return validation.ValidateServiceAccount(one)
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

// cluster is what RBAC knows.
type cluster struct {
	roles    []*rbacv1.ClusterRole
	bindings []*rbacv1.ClusterRoleBinding
}

// add decodes a document, and takes it if the API server would.
func (known *cluster) add(codecs serializer.CodecFactory, text []byte) (runtime.Object, string, error) {
	object, kind, err := codecs.UniversalDeserializer().Decode(text, nil, nil)
	if err != nil || kind.Group == kubeadm.GroupName {
		return object, kind.Kind, err
	}
	internal, err := runtime.Decode(codecs.UniversalDecoder(
		core.SchemeGroupVersion, batch.SchemeGroupVersion, rbac.SchemeGroupVersion,
	), text)
	if err == nil {
		err = validate(internal).ToAggregate()
	}
	switch one := object.(type) {
	case *rbacv1.ClusterRole:
		known.roles = append(known.roles, one)
	case *rbacv1.ClusterRoleBinding:
		known.bindings = append(known.bindings, one)
	}
	return object, kind.Kind, err
}

// allows says whether a node may have a token for an audience that no volume of the pod has: what
// NodeRestriction asks the authorizer (validateNodeServiceAccountAudience in its admission.go).
func (known *cluster) allows(audience string) (bool, error) {
	_, resolver := rules.NewTestRuleResolver(nil, nil, known.roles, known.bindings)
	decision, _, err := rbacauthorizer.New(resolver, resolver, resolver, resolver).Authorize(
		context.Background(),
		authorizer.AttributesRecord{
			User: &user.DefaultInfo{
				Name: "system:node:one", Groups: []string{user.NodesGroup, user.AllAuthenticated},
			},
			Verb:            "request-serviceaccounts-token-audience",
			APIVersion:      "v1",
			Resource:        audience,
			Namespace:       "team",
			Name:            "puller",
			ResourceRequest: true,
		},
	)
	return decision == authorizer.DecisionAllow, err
}

func printLogins(secret corev1.Secret, image string) error {
	none := &credentialprovider.BasicDockerKeyring{}
	keyring, err := secrets.MakeDockerKeyring([]corev1.Secret{secret}, none)
	if err != nil {
		return err
	}
	found, _ := keyring.Lookup(image)
	for _, login := range found {
		fmt.Printf("%s:%s\n", login.Username, login.Password)
	}
	return nil
}

func run() error {
	if err := kubeadm.AddToScheme(legacyscheme.Scheme); err != nil {
		return err
	}
	codecs := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict)
	documents := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	var known cluster
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		object, kind, err := known.add(codecs, text)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		if secret, ok := object.(*corev1.Secret); ok && *image != "" {
			if err := printLogins(*secret, *image); err != nil {
				return err
			}
		} else {
			fmt.Println(kind)
		}
	}
	if *audience == "" {
		return nil
	}
	allowed, err := known.allows(*audience)
	fmt.Println("allowed:", allowed)
	return err
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
