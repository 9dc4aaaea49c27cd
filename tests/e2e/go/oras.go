// A client made of Debian's oras-go 1, the library by which Helm 3 logs in, out and resolves.
// The first word is its own configuration; Docker's is read after it.
package main

import (
	"context"
	"fmt"
	"os"

	"oras.land/oras-go/pkg/auth"
	"oras.land/oras-go/pkg/auth/docker"
)

func run(config, verb, what string) error {
	client, err := docker.NewClientWithDockerFallback(config)
	if err != nil {
		return err
	}
	switch verb {
	case "login":
		var secret string
		fmt.Scanln(&secret)
		return client.LoginWithOpts(
			auth.WithLoginHostname(what), auth.WithLoginUsername("AWS"), auth.WithLoginSecret(secret))
	case "logout":
		return client.Logout(context.Background(), what)
	}
	resolver, err := client.ResolverWithOpts()
	if err != nil {
		return err
	}
	_, described, err := resolver.Resolve(context.Background(), what)
	fmt.Println(described.Digest)
	return err
}

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
