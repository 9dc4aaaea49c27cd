// nerdctl's own way to a registry: its resolver, its login and its logout, with nerdctl's words. The
// program itself cannot be built, for a module that only its tests need is not to be had.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/containerd/nerdctl/v2/pkg/api/types"
	"github.com/containerd/nerdctl/v2/pkg/cmd/login"
	"github.com/containerd/nerdctl/v2/pkg/cmd/logout"
	"github.com/containerd/nerdctl/v2/pkg/imgutil/dockerconfigresolver"
)

// resolve prints the digest of an image and fetches its manifest, as a pull begins.
func resolve(ctx context.Context, image string) error {
	host, _, _ := strings.Cut(image, "/")
	resolver, err := dockerconfigresolver.New(ctx, host)
	if err != nil {
		return err
	}
	name, described, err := resolver.Resolve(ctx, image)
	if err != nil {
		return err
	}
	fetcher, err := resolver.Fetcher(ctx, name)
	if err != nil {
		return err
	}
	manifest, err := fetcher.Fetch(ctx, described)
	if err != nil {
		return err
	}
	defer manifest.Close()
	fmt.Println(described.Digest)
	_, err = io.Copy(io.Discard, manifest)
	return err
}

// logIn takes the password from stdin, and asks the helper for user and password if there is none.
func logIn(ctx context.Context, host string) error {
	password, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	options := types.LoginCommandOptions{ServerAddress: host, Password: string(password)}
	if options.Password != "" {
		options.Username = "AWS"
	}
	return login.Login(ctx, options, os.Stdout)
}

func logOut(ctx context.Context, host string) error {
	failed, err := logout.Logout(ctx, host)
	for form, why := range failed {
		err = errors.Join(err, fmt.Errorf("%s: %w", form, why))
	}
	return err
}

func main() {
	verbs := map[string]func(context.Context, string) error{
		"resolve": resolve, "login": logIn, "logout": logOut,
	}
	err := errors.New("resolve, login or logout, and an image or a host")
	if len(os.Args) == 3 && verbs[os.Args[1]] != nil {
		err = verbs[os.Args[1]](context.Background(), os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
