// Starts a container of each image with testcontainers-go, which finds the logins itself.
package main

import (
	"context"
	"log"
	"os"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
)

func start(ctx context.Context, image string) error {
	// The engine of the rig has no bridge, and a container needs no other network.
	provider, err := testcontainers.NewDockerProvider(testcontainers.WithDefaultBridgeNetwork("none"))
	if err != nil {
		return err
	}
	started, err := provider.RunContainer(ctx, testcontainers.ContainerRequest{
		Image:              image,
		Cmd:                []string{"/program", "stay"},
		HostConfigModifier: func(host *container.HostConfig) { host.NetworkMode = "none" },
	})
	if err != nil {
		return err
	}
	return started.Terminate(ctx, testcontainers.StopTimeout(0))
}

func main() {
	for _, image := range os.Args[1:] {
		if err := start(context.Background(), image); err != nil {
			log.Fatal(err)
		}
	}
}
