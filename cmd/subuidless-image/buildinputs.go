package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rootless-containers/subuidless/internal/image/build"
	"github.com/rootless-containers/subuidless/internal/image/reference"
)

// parseSecrets parses --secret and --ssh.
func (f *buildFlags) parseSecrets() error {
	o := &f.options
	o.Secrets, o.Agents = map[string]build.Secret{}, map[string]string{}
	for _, text := range f.secrets {
		fields, err := csvFields("--secret", text, "id", "src", "source", "env", "type")
		if err != nil {
			return err
		}
		id, file, variable := fields["id"], fields["src"]+fields["source"], fields["env"]
		if fields["type"] == "env" && variable == "" {
			variable, file = file, ""
		}
		if id == "" {
			id = filepath.Base(file)
		}
		if file == "" && variable == "" {
			variable = id
			if _, ok := os.LookupEnv(id); !ok {
				file, variable = id, ""
			}
		}
		if id == "" || id == "." {
			return fmt.Errorf("--secret %s: id=ID is missing", text)
		}
		if variable != "" {
			value, ok := os.LookupEnv(variable)
			if !ok {
				return fmt.Errorf("--secret %s: the environment variable %s is not set", text, variable)
			}
			o.Secrets[id] = build.Secret{Value: []byte(value)}
			continue
		}
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("--secret %s: %w", text, err)
		}
		o.Secrets[id] = build.Secret{File: file}
	}
	o.Keys = map[string][]string{}
	for _, text := range f.agents {
		if err := f.parseAgent(text); err != nil {
			return fmt.Errorf("--ssh %s: %w", text, err)
		}
	}
	return nil
}

// parseAgent parses ID[=PATH,...]: the socket of an agent, or private keys.
func (f *buildFlags) parseAgent(text string) error {
	o := &f.options
	id, list, given := strings.Cut(text, "=")
	if !given {
		if list = os.Getenv("SSH_AUTH_SOCK"); list == "" {
			return errors.New("SSH_AUTH_SOCK is not set; start ssh-agent, or give ID=SOCKET or ID=KEY")
		}
	}
	for path := range strings.SplitSeq(list, ",") {
		st, err := os.Stat(path)
		if err != nil {
			return err
		}
		if path, err = filepath.Abs(path); err != nil {
			return err
		}
		switch isSocket := st.Mode()&os.ModeSocket != 0; {
		case isSocket && strings.Contains(list, ","):
			return errors.New("the socket of an agent cannot be combined with others, or with keys")
		case isSocket:
			o.Agents[id] = path
		default:
			o.Keys[id] = append(o.Keys[id], path)
		}
	}
	return nil
}

// parseCaches parses --cache-from and --cache-to. Aliases are those of names of images.
func (f *buildFlags) parseCaches(aliases reference.Aliases) error {
	for _, text := range f.from {
		c, err := parseCache("--cache-from", text, "src", aliases)
		if err != nil {
			return err
		}
		f.options.CacheFrom = append(f.options.CacheFrom, *c)
	}
	if f.to == "" {
		return nil
	}
	var err error
	f.options.CacheTo, err = parseCache("--cache-to", f.to, "dest", aliases)
	return err
}

// parseCache parses the value of --cache-from or --cache-to. Key is that of a directory.
func parseCache(flag, text, key string, aliases reference.Aliases) (*build.Cache, error) {
	fields := map[string]string{"type": "registry", "ref": text} // as in docker
	if strings.Contains(text, "=") {
		var err error
		if fields, err = csvFields(flag, text, "type", key, "ref", "mode"); err != nil {
			return nil, err
		}
	}
	c := &build.Cache{Dir: fields[key], Min: fields["mode"] == "min"}
	if mode := fields["mode"]; mode != "" && (flag != "--cache-to" || mode != "min" && mode != "max") {
		return nil, fmt.Errorf("%s %s: mode must be min or max, and is for --cache-to", flag, text)
	}
	switch kind := fields["type"]; {
	case kind == "inline" && flag == "--cache-to" && fields[key]+fields["ref"] == "":
		c.Inline = true
	case kind == "local" && fields["ref"] == "":
		if c.Dir == "" {
			return nil, fmt.Errorf("%s %s: %s=DIR is missing", flag, text, key)
		}
	case kind == "registry" && c.Dir == "":
		ref, err := reference.Parse(fields["ref"], aliases)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", flag, text, err)
		}
		if ref.Transport != reference.Registry || flag == "--cache-to" && strings.Contains(ref.Name, "@") {
			return nil, fmt.Errorf("%s %s: ref must be a name in a registry", flag, text)
		}
		c.Image = ref
	default:
		return nil, fmt.Errorf("%s %s: must be type=local,%s=DIR or type=registry,ref=IMAGE, or for --cache-to type=inline", flag, text, key)
	}
	return c, nil
}

// csvFields parses K=V,K=V with these keys.
func csvFields(flag, text string, keys ...string) (map[string]string, error) {
	fields := map[string]string{}
	for field := range strings.SplitSeq(text, ",") {
		k, v, given := strings.Cut(field, "=")
		known := false
		for _, key := range keys {
			known = known || k == key
		}
		if !known || !given {
			return nil, errors.New(flag + " " + text + ": unknown option " + field + ": must be one of " + strings.Join(keys, ", "))
		}
		fields[k] = v
	}
	return fields, nil
}
