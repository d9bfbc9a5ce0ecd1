package dockerfile

import (
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// envList is a list of variables, NAME=VALUE, without two of the same name. It implements
// shell.EnvGetter.
type envList []string

// Get implements shell.EnvGetter.
func (l envList) Get(key string) (string, bool) {
	for _, kv := range l {
		if name, value, _ := strings.Cut(kv, "="); name == key {
			return value, true
		}
	}
	return "", false
}

// Keys implements shell.EnvGetter.
func (l envList) Keys() []string {
	var keys []string
	for _, kv := range l {
		name, _, _ := strings.Cut(kv, "=")
		keys = append(keys, name)
	}
	return keys
}

// with returns a list in which key has a value. A variable keeps its place.
func (l envList) with(key, value string) envList {
	l = slices.Clone(l)
	for i, kv := range l {
		if name, _, _ := strings.Cut(kv, "="); name == key {
			l[i] = key + "=" + value
			return l
		}
	}
	return append(l, key+"="+value)
}

// epochArg is the argument with the time of a reproducible build: reproducible-builds.org.
const epochArg = "SOURCE_DATE_EPOCH"

// FormatPlatform returns the form OS/ARCH[/VARIANT] of a platform.
func FormatPlatform(p ocispec.Platform) string {
	text := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		text += "/" + p.Variant
	}
	return text
}

// predefined returns the variables of the platforms: "Automatic platform ARGs in the global
// scope" in the reference. They are visible in a stage that declares them.
func (f *File) predefined() envList {
	target, build := f.options.Platform, f.options.Build
	stage := f.options.Target
	if stage == "" {
		stage = "default"
	}
	return envList{
		"BUILDPLATFORM=" + FormatPlatform(build), "BUILDOS=" + build.OS, "BUILDARCH=" + build.Architecture, "BUILDVARIANT=" + build.Variant,
		"TARGETPLATFORM=" + FormatPlatform(target), "TARGETOS=" + target.OS, "TARGETARCH=" + target.Architecture, "TARGETVARIANT=" + target.Variant,
		"TARGETSTAGE=" + stage,
	}
}

func (f *File) isPredefined(key string) bool {
	_, ok := f.predefined().Get(key)
	return ok
}

// isProxy reports whether an argument is one that RUN gets without being declared:
// "Predefined ARGs" in the reference.
func isProxy(key string) bool {
	switch strings.ToLower(key) {
	case "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy":
		return true
	}
	return false
}

// globalArgs evaluates the ARG instructions before the first FROM, with these values of the user.
func (f *File) globalArgs(commands []instructions.ArgCommand, given map[string]string) (envList, error) {
	global := f.predefined()
	for _, kv := range global {
		key, _, _ := strings.Cut(kv, "=")
		if v, ok := given[key]; ok {
			global = global.with(key, v)
		}
	}
	lex := shell.NewLex(f.escape)
	for i := range commands {
		for _, a := range commands[i].Args {
			if v, ok := given[a.Key]; ok {
				global = global.with(a.Key, v)
				continue
			}
			if a.Value == nil {
				continue
			}
			v, _, err := lex.ProcessWord(*a.Value, global)
			if err != nil {
				return nil, f.at(line(commands[i].Location()), err)
			}
			global = global.with(a.Key, v)
		}
	}
	return global, nil
}

// Epoch returns the value of SOURCE_DATE_EPOCH, as an argument of the user or with a default in
// the Dockerfile.
func (f *File) Epoch() (string, bool) {
	if v, ok := f.options.Args[epochArg]; ok {
		return v, v != ""
	}
	v, ok := f.global.Get(epochArg)
	return v, ok && v != ""
}

// proxyEnv returns the variables of proxies for RUN, which are no part of the image.
func (f *File) proxyEnv() envList {
	var l envList
	for key, value := range f.options.Args {
		if isProxy(key) {
			l = l.with(strings.ToUpper(key), value).with(strings.ToLower(key), value)
		}
	}
	slices.Sort(l)
	return l
}
