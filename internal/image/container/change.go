package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/rootless-containers/subuidless/internal/image/running"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// change applies an instruction of a Dockerfile, as docker commit --change knows them.
func change(c *v1.Config, text string) error {
	name, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	rest = strings.TrimSpace(rest)
	name = strings.ToUpper(name)
	if rest == "" {
		return errors.New("an instruction and its value are needed")
	}
	switch name {
	case "CMD":
		c.Cmd = commandForm(rest)
	case "ENTRYPOINT":
		c.Entrypoint = commandForm(rest)
	case "ENV":
		return pairs(rest, func(k, v string) {
			c.Env = append(slices.DeleteFunc(slices.Clone(c.Env), func(kv string) bool { return strings.HasPrefix(kv, k+"=") }), k+"="+v)
		})
	case "LABEL":
		return pairs(rest, func(k, v string) {
			if c.Labels == nil {
				c.Labels = map[string]string{}
			}
			c.Labels[k] = v
		})
	case "EXPOSE":
		return expose(c, strings.Fields(rest))
	case "VOLUME":
		list, ok := jsonForm(rest)
		if !ok {
			list = strings.Fields(rest)
		}
		if c.Volumes == nil {
			c.Volumes = map[string]struct{}{}
		}
		for _, v := range list {
			c.Volumes[v] = struct{}{}
		}
	case "USER":
		c.User = rest
	case "WORKDIR":
		if !path.IsAbs(rest) {
			rest = path.Join("/", c.WorkingDir, rest)
		}
		c.WorkingDir = path.Clean(rest)
	case "STOPSIGNAL":
		if _, err := running.ParseSignal(rest); err != nil {
			return err
		}
		c.StopSignal = rest
	case "ONBUILD":
		c.OnBuild = append(slices.Clone(c.OnBuild), rest)
	default:
		return fmt.Errorf("%s is not supported: must be CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR", name)
	}
	return nil
}

// jsonForm parses the form ["a", "b"].
func jsonForm(text string) (list []string, ok bool) {
	return list, json.Unmarshal([]byte(text), &list) == nil && list != nil
}

// commandForm parses a command in the form of JSON or of a shell.
func commandForm(text string) []string {
	if list, ok := jsonForm(text); ok {
		return list
	}
	return []string{"/bin/sh", "-c", text}
}

func expose(c *v1.Config, ports []string) error {
	for _, p := range ports {
		number, protocol, found := strings.Cut(p, "/")
		if !found {
			protocol = "tcp"
		}
		if n, err := strconv.Atoi(number); err != nil || n < 1 || n > 65535 || protocol != "tcp" && protocol != "udp" && protocol != "sctp" {
			return fmt.Errorf("%q is not a port: must be PORT or PORT/PROTOCOL", p)
		}
		if c.ExposedPorts == nil {
			c.ExposedPorts = map[string]struct{}{}
		}
		c.ExposedPorts[number+"/"+protocol] = struct{}{}
	}
	return nil
}

// pairs calls f with each K=V, or with K V, the old form of one. Values may be quoted.
func pairs(text string, f func(k, v string)) error {
	words, err := splitWords(text)
	if err != nil {
		return err
	}
	if !strings.Contains(words[0], "=") {
		k, v, _ := strings.Cut(text, " ")
		if v == "" {
			return fmt.Errorf("%q has no value", k)
		}
		f(k, strings.TrimSpace(v))
		return nil
	}
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		if !ok || k == "" {
			return fmt.Errorf("%q must be KEY=VALUE", w)
		}
		f(k, v)
	}
	return nil
}

// splitWords splits text at spaces that are neither quoted nor escaped, and removes quotes.
func splitWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	inWord, escaped := false, false
	for _, r := range text {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case r == ' ' || r == '\t':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote %c is not closed", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
