// A small skopeo: the libraries of today by which podman, buildah and skopeo log in and out, copy
// and inspect, with skopeo's words.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"go.podman.io/common/pkg/auth"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"
)

func copyImage(ctx context.Context, words []string) error {
	from, err := alltransports.ParseImageName(words[0])
	if err != nil {
		return err
	}
	to, err := alltransports.ParseImageName(words[1])
	if err != nil {
		return err
	}
	policy, err := signature.DefaultPolicy(nil)
	if err != nil {
		return err
	}
	trust, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	_, err = copy.Image(ctx, trust, to, from, &copy.Options{})
	return err
}

func inspect(ctx context.Context, words []string) error {
	image, err := alltransports.ParseImageName(words[0])
	if err != nil {
		return err
	}
	tags, err := docker.GetRepositoryTags(ctx, nil, image)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string][]string{"RepoTags": tags})
}

func login(ctx context.Context, words []string) error {
	options := auth.LoginOptions{Stdin: os.Stdin, Stdout: os.Stdout}
	places, err := parsed(auth.GetLoginFlags(&options), words)
	if err != nil {
		return err
	}
	return auth.Login(ctx, &types.SystemContext{}, &options, places)
}

func logout(_ context.Context, words []string) error {
	options := auth.LogoutOptions{Stdout: os.Stdout}
	places, err := parsed(auth.GetLogoutFlags(&options), words)
	if err != nil {
		return err
	}
	return auth.Logout(&types.SystemContext{}, &options, places)
}

func parsed(flags *pflag.FlagSet, words []string) ([]string, error) {
	err := flags.Parse(words)
	return flags.Args(), err
}

func main() {
	verbs := map[string]func(context.Context, []string) error{
		"copy": copyImage, "inspect": inspect, "login": login, "logout": logout,
	}
	err := errors.New("copy, inspect, login or logout")
	if len(os.Args) > 2 && verbs[os.Args[1]] != nil {
		err = verbs[os.Args[1]](context.Background(), os.Args[2:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
