// docker-credential-helpers' own client library, against the helper of the name in the first word:
// each call in turn, and each of its errors by the type that it has for it.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"
)

// kind names an error as the library tells it apart.
func kind(err error) string {
	switch {
	case err == nil:
		return ""
	case credentials.IsErrCredentialsNotFound(err):
		return "not found"
	case credentials.IsCredentialsMissingServerURL(err):
		return "no server URL"
	case credentials.IsCredentialsMissingUsername(err):
		return "no username"
	}
	return err.Error()
}

func call(program client.ProgramFunc, verb string, given credentials.Credentials) (any, error) {
	switch verb {
	case "get":
		return client.Get(program, given.ServerURL)
	case "store":
		return nil, client.Store(program, &given)
	case "erase":
		return nil, client.Erase(program, given.ServerURL)
	case "list":
		return client.List(program)
	}
	return nil, fmt.Errorf("no such call: %s", verb)
}

// Each word after the first is a verb; what it is given is the next value on stdin.
func main() {
	program := client.NewShellProgramFunc(os.Args[1])
	given, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for _, verb := range os.Args[2:] {
		var login credentials.Credentials
		if err := given.Decode(&login); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		answer, err := call(program, verb, login)
		answers.Encode(map[string]any{"answer": answer, "error": kind(err)})
	}
}
