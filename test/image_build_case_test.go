package test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// A build case is a file in testdata/build, an archive in txtar's format: the files of a context,
// and
//
//	flags      arguments of the build; {url} is the address of serveRemote
//	setup      a script for sh(1), which completes the context, in its directory
//	different  lines "KEY: REASON" about what differs from buildah
//	want       lines "KEY: VALUE" that the image must have, where buildah is no reference
//	fails      what the message says, if neither can build the image
//
// The keys are those of described. They may be patterns of path.Match.
type buildCase struct {
	name      string
	files     []txtar.File
	flags     []string
	setup     string
	fails     string
	different map[string]string
	want      described
}

// buildBase is the name of the image that the cases are based on.
const buildBase = "localhost/base:latest"

func readBuildCases(dir string) ([]buildCase, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil {
		return nil, err
	}
	var all []buildCase
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			return nil, err
		}
		c := buildCase{name: strings.TrimSuffix(filepath.Base(name), ".txtar"), different: map[string]string{}, want: described{}}
		for _, f := range a.Files {
			switch f.Name {
			case "flags":
				c.flags = strings.Fields(string(f.Data))
			case "setup":
				c.setup = string(f.Data)
			case "fails":
				c.fails = strings.TrimSpace(string(f.Data))
			case "different":
				if err := parseDifferences(c.different, string(f.Data)); err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
			case "want":
				if err := parseDifferences(c.want, string(f.Data)); err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
			default:
				c.files = append(c.files, f)
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// arguments returns the arguments of the build, if serveRemote has this address.
func (c *buildCase) arguments(url string) []string {
	all := slices.Clone(c.flags)
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], "{url}", url)
	}
	return all
}

// serveRemote starts a server with the file /file.txt and the archive /a.tar.
func serveRemote() (*httptest.Server, error) {
	archive, err := archiveOf([]entry{
		{Header: tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o750, Uid: 5, Gid: 6}},
		{Header: tar.Header{Name: "d/f", Mode: 0o640, Uid: 7, Gid: 8}, content: "in the archive\n"},
	})
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"/file.txt": []byte("remote\n"), "/a.tar": archive}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, r.URL.Path, time.Date(2000, 1, 2, 3, 4, 5, 0, time.UTC), bytes.NewReader(content))
	})), nil
}

func parseDifferences(all map[string]string, text string) error {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, reason, ok := strings.Cut(line, ": ")
		if !ok {
			return fmt.Errorf("%q has no reason", line)
		}
		all[key] = reason
	}
	return nil
}

// makeContext writes the files of the context to a new directory.
func (c *buildCase) makeContext(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, f := range c.files {
		name := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			return err
		}
		// As git checks files out, whatever the umask is.
		if err := os.Chmod(name, 0o644); err != nil {
			return err
		}
	}
	cmd := exec.Command("sh", "-ec", c.setup)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("setup of %s: %w: %s", c.name, err, out)
	}
	return nil
}

// described is what a build has made: files by their absolute paths, and the fields of the
// configuration as "config.FIELD".
type described map[string]string

// old is a time before which only a case sets one. The base image has the time 0.
var old = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)

// addTree adds the files of an archive that has a complete root file system.
func (d described) addTree(r io.Reader) error {
	type file struct{ text, link string }
	all := map[string]file{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name := path.Join("/", h.Name)
		if name == "/" {
			continue // buildah does not write it
		}
		if h.Typeflag == tar.TypeLink {
			all[name] = file{link: path.Join("/", h.Linkname)}
			continue
		}
		text := fmt.Sprintf("%c %d:%d", h.Typeflag, h.Uid, h.Gid)
		if h.Typeflag != tar.TypeSymlink {
			text += fmt.Sprintf(" %04o", h.Mode&0o7777)
		}
		switch h.Typeflag {
		case tar.TypeReg:
			content, err := io.ReadAll(archive)
			if err != nil {
				return err
			}
			if text += fmt.Sprintf(" %d", len(content)); len(content) < 200 {
				text += fmt.Sprintf(" %q", content)
			} else {
				text += fmt.Sprintf(" %x", sha256.Sum256(content))
			}
		case tar.TypeSymlink:
			text += " -> " + h.Linkname
		case tar.TypeChar, tar.TypeBlock:
			text += fmt.Sprintf(" %d,%d", h.Devmajor, h.Devminor)
		}
		if h.ModTime.Before(old) && h.ModTime.Unix() > 0 {
			text += " " + h.ModTime.UTC().Format(time.DateTime)
		}
		for _, key := range slices.Sorted(maps.Keys(h.PAXRecords)) {
			if attribute, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
				text += fmt.Sprintf(" %s=%q", attribute, h.PAXRecords[key])
			}
		}
		all[name] = file{text: text}
	}
	// The names of an inode are described together, whichever comes first in the archive.
	groups := map[string][]string{}
	for name, f := range all {
		first := name
		for all[first].link != "" {
			first = all[first].link
		}
		groups[first] = append(groups[first], name)
		_ = f
	}
	for first, names := range groups {
		slices.Sort(names)
		for _, name := range names {
			if d[name] = all[first].text; len(names) > 1 {
				d[name] += fmt.Sprintf(" = %q", names)
			}
		}
	}
	return nil
}

// addConfig adds the fields of the configuration of an image.
func (d described) addConfig(raw []byte) error {
	var image map[string]json.RawMessage
	if err := json.Unmarshal(raw, &image); err != nil {
		return err
	}
	var config map[string]any
	if err := json.Unmarshal(image["config"], &config); err != nil {
		return err
	}
	for _, key := range []string{"architecture", "os", "author"} {
		if v := string(image[key]); v != "" && v != `""` {
			d["config."+key] = v
		}
	}
	for _, key := range []string{"Env", "Cmd", "Entrypoint", "WorkingDir", "User", "Labels", "ExposedPorts", "Volumes", "StopSignal", "Healthcheck", "OnBuild", "Shell"} {
		v := config[key]
		if m, ok := v.(map[string]any); ok {
			delete(m, "io.buildah.version")
			if len(m) == 0 {
				v = nil
			}
		}
		if l, ok := v.([]any); v == nil || v == "" || ok && len(l) == 0 {
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		d["config."+key] = string(b)
	}
	return nil
}
