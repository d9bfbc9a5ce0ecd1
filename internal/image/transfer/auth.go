package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// DockerHub is the registry of names without one.
const DockerHub = "docker.io"

// authFiles returns the files with credentials, in the order of containers-auth.json(5): those
// of podman, and that of docker. An authFile, or $REGISTRY_AUTH_FILE, is the only one.
func authFiles(authFile string) []string {
	if file := cmp.Or(authFile, os.Getenv("REGISTRY_AUTH_FILE")); file != "" {
		return []string{file}
	}
	var files []string
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		files = append(files, filepath.Join(dir, "containers", "auth.json"))
	}
	if dir, err := os.UserConfigDir(); err == nil {
		files = append(files, filepath.Join(dir, "containers", "auth.json"))
	}
	return append(files, filepath.Join(config.Dir(), config.ConfigFileName))
}

// readAuthFile reads a file in the format of docker's configuration. One that does not exist
// is empty.
func readAuthFile(file string) (*configfile.ConfigFile, error) {
	c := configfile.New(file)
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := c.LoadFromReader(f); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// keychain has the credentials in authFiles.
type keychain struct{ authFile string }

// Resolve implements authn.Keychain.
func (k keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	for _, file := range authFiles(k.authFile) {
		c, err := readAuthFile(file)
		if err != nil {
			return nil, err
		}
		for _, key := range authKeys(target) {
			found, err := c.GetAuthConfig(key)
			if err != nil {
				return nil, fmt.Errorf("credentials for %s: %w", key, err)
			}
			found.ServerAddress = "" // set in any case
			if found != (types.AuthConfig{}) {
				return authn.FromConfig(authn.AuthConfig{
					Username: found.Username, Password: found.Password, Auth: found.Auth,
					IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken,
				}), nil
			}
		}
	}
	return authn.Anonymous, nil
}

// authKeys returns the keys of the credentials for a repository, the best one first: podman
// also stores some for a part of a registry.
func authKeys(target authn.Resource) []string {
	var keys []string
	host, path := target.RegistryStr(), target.String()
	if host == name.DefaultRegistry {
		path = DockerHub + strings.TrimPrefix(path, host)
	}
	for path != "" {
		keys = append(keys, path)
		path = path[:max(0, strings.LastIndexByte(path, '/'))]
	}
	return append(keys, storedKey(host))
}

// storedKey returns the key under which docker stores the credentials for a registry.
func storedKey(registry string) string {
	if registry == name.DefaultRegistry || registry == DockerHub {
		return authn.DefaultAuthKey
	}
	return registry
}

// loginFile returns the file in which Login stores credentials.
func loginFile(authFile string) string {
	files := authFiles(authFile)
	return files[len(files)-1]
}

// Login checks the credentials with the registry, and stores them.
func Login(ctx context.Context, registry, user, password, authFile string, insecure bool) error {
	var options []name.Option
	if insecure {
		options = append(options, name.Insecure)
	}
	host, _, _ := strings.Cut(registry, "/")
	reg, err := name.NewRegistry(host, options...)
	if err != nil {
		return fmt.Errorf("registry %q: %w", registry, err)
	}
	if err := checkLogin(ctx, reg, authn.FromConfig(authn.AuthConfig{Username: user, Password: password}), insecure); err != nil {
		return fmt.Errorf("registry %s: %w", registry, err)
	}
	file := loginFile(authFile)
	c, err := readAuthFile(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	key := storedKey(registry)
	stored := types.AuthConfig{ServerAddress: key, Username: user, Password: password}
	if err := c.GetCredentialsStore(key).Store(stored); err != nil {
		return fmt.Errorf("storing the credentials in %s: %w", file, err)
	}
	return nil
}

// checkLogin returns an error unless the registry accepts the credentials.
func checkLogin(ctx context.Context, reg name.Registry, auth authn.Authenticator, insecure bool) error {
	t, err := transport.NewWithContext(ctx, reg, auth, transport.NewRetry(newTransport(insecure)), nil)
	if err != nil {
		return err
	}
	u := url.URL{Scheme: reg.Scheme(), Host: reg.RegistryStr(), Path: "/v2/"}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: t}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := transport.CheckError(response, http.StatusOK); err != nil {
		return fmt.Errorf("the user name or the password is wrong: %w", err)
	}
	return nil
}

// Logout removes the credentials for a registry, or all if it is empty, and returns the
// registries that had some.
func Logout(_ context.Context, registry, authFile string) ([]string, error) {
	var removed []string
	for _, file := range authFiles(authFile) {
		c, err := readAuthFile(file)
		if err != nil {
			return nil, err
		}
		all, err := c.GetAllCredentials()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for key := range all {
			if registry != "" && key != registry && key != storedKey(registry) {
				continue
			}
			if err := c.GetCredentialsStore(key).Erase(key); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			removed = append(removed, key)
		}
	}
	if registry != "" && len(removed) == 0 {
		return nil, fmt.Errorf("not logged in to %s", registry)
	}
	slices.Sort(removed)
	return slices.Compact(removed), nil
}
