package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/rootless-containers/subuidless/internal/program"
)

// modulesOf returns the modules that the two programs in a file link, sorted, without this one.
func modulesOf(file string) ([]*debug.Module, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	parts, err := program.Parts(f)
	if err != nil {
		return nil, err
	}
	modules := map[string]*debug.Module{}
	for _, part := range parts {
		info, err := buildinfo.Read(part)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		modules["std"] = &debug.Module{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			modules[m.Path] = m
		}
	}
	return slices.SortedFunc(maps.Values(modules), func(a, b *debug.Module) int { return strings.Compare(a.Path, b.Path) }), nil
}

// licences returns the texts of the licences of modules.
func licences(modules []*debug.Module) ([]byte, error) {
	var all bytes.Buffer
	for _, m := range modules {
		var dir string
		var err error
		if m.Path == "std" {
			dir, err = output("go", "env", "GOROOT")
		} else {
			dir, err = output("go", "list", "-m", "-f", "{{.Dir}}", m.Path)
		}
		if err != nil {
			return nil, err
		}
		files, err := licenceFiles(dir)
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%s has no licence in %s", m.Path, dir)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&all, "==== %s %s: %s\n\n%s\n", m.Path, m.Version, filepath.Base(file), text)
		}
	}
	return all.Bytes(), nil
}

// licenceFiles returns the files with licences in the top directory of a module, or in the one
// above, for modules of a repository with several.
func licenceFiles(dir string) ([]string, error) {
	var found []string
	for _, where := range []string{dir, filepath.Dir(dir)} {
		entries, err := os.ReadDir(where)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			name := strings.ToUpper(e.Name())
			for _, prefix := range []string{"LICENSE", "LICENCE", "UNLICENSE", "COPYING", "NOTICE", "PATENTS"} {
				if strings.HasPrefix(name, prefix) && e.Type().IsRegular() {
					found = append(found, filepath.Join(where, e.Name()))
				}
			}
		}
		if len(found) > 0 {
			break
		}
	}
	return found, nil
}

// component is a component of CycloneDX: https://cyclonedx.org/docs/1.6/json/.
type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	PURL       string     `json:"purl"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// sbom returns the bill of materials of the program for an architecture, as CycloneDX. Modules
// have the checksum that go.sum has.
func (b *build) sbom(arch string, modules []*debug.Module) ([]byte, error) {
	text, err := os.ReadFile(b.programPath(arch))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	purl := func(path, version string) string {
		return "pkg:golang/" + path + "@" + url.PathEscape(version)
	}
	const own = "github.com/rootless-containers/subuidless"
	self := component{Type: "application", Ref: own, Name: "subuidless", Version: b.fullVersion(), PURL: purl(own, "v"+b.fullVersion()),
		Hashes: []hash{{"SHA-256", fmt.Sprintf("%x", sum)}}, Properties: []property{{"goarch", arch}}}
	var components []component
	var refs []string
	for _, m := range modules {
		c := component{Type: "library", Ref: purl(m.Path, m.Version), Name: m.Path, Version: m.Version, PURL: purl(m.Path, m.Version)}
		if m.Sum != "" {
			c.Properties = []property{{"go:sum", m.Sum}}
		}
		components, refs = append(components, c), append(refs, c.Ref)
	}
	if len(components) == 0 {
		return nil, errors.New("the program has no build information")
	}
	// A UUID that only depends on the content.
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return json.MarshalIndent(map[string]any{
		"bomFormat":    "CycloneDX",
		"specVersion":  "1.6",
		"serialNumber": fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]),
		"version":      1,
		"metadata":     map[string]any{"timestamp": b.time.Format("2006-01-02T15:04:05Z"), "component": self},
		"components":   components,
		"dependencies": []map[string]any{{"ref": own, "dependsOn": refs}},
	}, "", "  ")
}
