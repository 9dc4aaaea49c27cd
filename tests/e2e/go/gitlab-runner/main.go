// The way in which GitLab Runner comes to a login before it pulls the image of a job: its rules, with
// the library of Docker that it has them from. (Its own module is not given out as one.) First counts
// DOCKER_AUTH_CONFIG, then the config.json of the user who is named. In either, every helper is asked;
// if one fails, nothing of that place counts, and nobody is told.
package main

import (
	"encoding/json"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/credentials"
	"github.com/docker/cli/cli/config/types"
)

type login struct {
	Source   string `json:"source"`
	Username string `json:"username"`
	Password string `json:"password"`
}

func loginsOf(config io.Reader) (map[string]types.AuthConfig, error) {
	file := configfile.New("")
	if err := file.LoadFromReader(config); err != nil {
		return nil, err
	}
	logins := map[string]types.AuthConfig{}
	for host, one := range file.AuthConfigs {
		logins[host] = one
	}
	for host, helper := range file.CredentialHelpers {
		one, err := credentials.NewNativeStore(file, helper).Get(host)
		if err != nil {
			return nil, err
		}
		logins[host] = one
	}
	return logins, nil
}

func homeOf(name string) string {
	if name == "" {
		return os.Getenv("HOME")
	}
	if found, err := user.Lookup(name); err == nil {
		return found.HomeDir
	}
	return ""
}

// The words are the name of a user, or none, and an image.
func main() {
	host, _, _ := strings.Cut(os.Args[2], "/")
	places := []struct {
		name string
		open func() (io.Reader, error)
	}{
		{"DOCKER_AUTH_CONFIG", func() (io.Reader, error) {
			return strings.NewReader(os.Getenv("DOCKER_AUTH_CONFIG")), nil
		}},
		{"config.json", func() (io.Reader, error) {
			return os.Open(filepath.Join(homeOf(os.Args[1]), ".docker", "config.json"))
		}},
	}
	answer := login{}
	for _, place := range places {
		config, err := place.open()
		if err != nil {
			continue
		}
		logins, err := loginsOf(config)
		if one, ok := logins[host]; ok && err == nil {
			answer = login{place.name, one.Username, one.Password}
			break
		}
	}
	json.NewEncoder(os.Stdout).Encode(answer)
}
