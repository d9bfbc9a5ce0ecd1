package test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"crypto/sha256"

	"github.com/google/go-containerregistry/pkg/registry"
)

// A registry on the loopback interface, with an image whose files have owners that no user
// without subordinate ids can have.

// baseImage is the name of the image in the registry.
const baseImage = "base"

// netRaw is the attribute security.capability for cap_net_raw=ep, struct vfs_cap_data of
// linux/capability.h.
var netRaw = []byte{0x01, 0, 0, 0x02, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

// serveRegistry starts a registry that has the image, and returns its address, HOST:PORT. The
// caller must close the listener.
func serveRegistry() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() { _ = http.Serve(l, registry.New(registry.Logger(log.New(io.Discard, "", 0)))) }()
	layer, err := baseLayer(false)
	if err == nil {
		err = pushImage(l.Addr().String(), baseImage, layer, "sh")
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// baseLayer returns the layer of the image, an uncompressed tar archive: busybox, and files
// with many owners; special adds a device node and a file with capabilities.
func baseLayer(special bool) ([]byte, error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, err
	}
	busybox, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	applets, err := exec.Command(path, "--list").Output()
	if err != nil {
		return nil, err
	}
	file := func(name string, mode int64, id int, content string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Uid: id, Gid: id, Size: int64(len(content))}
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, content string) {
		h.Format = tar.FormatPAX
		err = errors.Join(err, w.WriteHeader(&h))
		if h.Size > 0 {
			_, e := io.WriteString(w, content)
			err = errors.Join(err, e)
		}
	}
	for _, dir := range []string{"bin", "dev", "etc", "owned", "proc", "root", "srv", "sys", "tmp"} {
		mode := int64(0o755)
		if dir == "tmp" {
			mode = 0o1777
		}
		add(tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: mode}, "")
	}
	add(file("bin/busybox", 0o755, 0, string(busybox)), string(busybox))
	add(tar.Header{Name: "bin/su", Typeflag: tar.TypeLink, Linkname: "bin/busybox", Mode: 0o755}, "")
	for applet := range strings.FieldsSeq(string(applets)) {
		if applet != "busybox" && applet != "su" {
			add(tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}, "")
		}
	}
	for _, f := range [][2]string{
		{"etc/passwd", "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n"},
		{"etc/group", "root:x:0:\nwww-data:x:33:\ntape:x:26:www-data\n"},
	} {
		add(file(f[0], 0o644, 0, f[1]), f[1])
	}
	for _, id := range []int{33, 101, 1000, 65534, 4294967294} {
		add(file(fmt.Sprintf("owned/%d", id), 0o644, id, "owned\n"), "owned\n")
	}
	add(file("owned/setuid", 0o4755, 101, "#!\n"), "#!\n")
	add(tar.Header{Name: "owned/dir/", Typeflag: tar.TypeDir, Mode: 0o750, Uid: 33, Gid: 101}, "")
	add(tar.Header{Name: "owned/fifo", Typeflag: tar.TypeFifo, Mode: 0o640, Uid: 46, Gid: 47}, "")
	if special {
		add(tar.Header{Name: "owned/null", Typeflag: tar.TypeChar, Mode: 0o620, Uid: 33, Gid: 101, Devmajor: 1, Devminor: 3}, "")
		capable := file("owned/capable", 0o755, 101, "#!\n")
		capable.PAXRecords = map[string]string{xattrRecord + "security.capability": string(netRaw)}
		add(capable, "#!\n")
	}
	add(tar.Header{Name: "owned/link", Typeflag: tar.TypeSymlink, Linkname: "33", Mode: 0o777, Uid: 44, Gid: 45}, "")
	return b.Bytes(), errors.Join(err, w.Close())
}

// The media types of the images.
const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// blob describes content in a registry.
type blob struct {
	MediaType string `json:"mediaType"`
	Size      int    `json:"size"`
	Digest    string `json:"digest"`
}

func newBlob(mediaType string, content []byte) blob {
	return blob{MediaType: mediaType, Size: len(content), Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(content))}
}

// manifest is the manifest of an image.
type manifest struct {
	SchemaVersion int    `json:"schemaVersion"`
	MediaType     string `json:"mediaType"`
	Config        blob   `json:"config"`
	Layers        []blob `json:"layers"`
}

// pushImage pushes an image with one layer, an uncompressed tar archive, to a registry. Name is its
// repository, and a tag if it is not latest. Command is what its containers run by default.
func pushImage(addr, name string, layer []byte, command ...string) error {
	name, tag, tagged := strings.Cut(name, ":")
	if !tagged {
		tag = "latest"
	}
	var compressed bytes.Buffer
	z := gzip.NewWriter(&compressed)
	if _, err := z.Write(layer); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Env": []string{"PATH=/bin"}, "Cmd": command},
		"history":      []map[string]any{{"created_by": "test"}},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{newBlob("", layer).Digest}},
	})
	if err != nil {
		return err
	}
	m := manifest{SchemaVersion: 2, MediaType: manifestType, Config: newBlob(configType, config), Layers: []blob{newBlob(layerType, compressed.Bytes())}}
	for _, content := range [][]byte{config, compressed.Bytes()} {
		if err := send(http.MethodPost, fmt.Sprintf("http://%s/v2/%s/blobs/uploads/?digest=%s", addr, name, newBlob("", content).Digest), "application/octet-stream", content); err != nil {
			return err
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return send(http.MethodPut, fmt.Sprintf("http://%s/v2/%s/manifests/%s", addr, name, tag), manifestType, b)
}

func send(method, url, contentType string, content []byte) error {
	r, err := http.NewRequest(method, url, bytes.NewReader(content))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", contentType)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s", method, url, answer.Status)
	}
	return nil
}

// fetch returns the content at a URL.
func fetch(url string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", manifestType)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

// addedFiles lists what the layers of an image in the registry add to the base image, without
// contents and times.
func addedFiles(addr, name string) (string, error) {
	return listAdded(addr, name, func(h *tar.Header, xattrs []string, _ []byte) string {
		return fmt.Sprintf("%s %c %o %d:%d %q %d %v", h.Name, h.Typeflag, h.Mode&0o7777, h.Uid, h.Gid, h.Linkname, h.Size, xattrs)
	})
}

// listAdded returns a line for each file that the layers of an image in the registry add to the base
// image, without those that runtimes create as mount points: their modes depend on the runtime. The
// arguments of line are the header, the sorted names of the extended attributes, and the content.
func listAdded(addr, name string, line func(*tar.Header, []string, []byte) string) (string, error) {
	b, err := fetch(fmt.Sprintf("http://%s/v2/%s/manifests/latest", addr, name))
	if err != nil {
		return "", err
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return "", err
	}
	var list strings.Builder
	for i, layer := range m.Layers[1:] {
		b, err := fetch(fmt.Sprintf("http://%s/v2/%s/blobs/%s", addr, name, layer.Digest))
		if err != nil {
			return "", err
		}
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&list, "layer %d\n", i+1)
		for r := tar.NewReader(z); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return "", err
			}
			if slices.Contains([]string{"etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", "run/", "run/.containerenv"}, h.Name) {
				continue
			}
			content, err := io.ReadAll(r)
			if err != nil {
				return "", err
			}
			var xattrs []string
			for key := range h.PAXRecords {
				// Podman 4 puts overlayfs's own attributes into layers.
				if x, ok := strings.CutPrefix(key, xattrRecord); ok && !strings.HasPrefix(x, "user.overlay.") {
					xattrs = append(xattrs, x)
				}
			}
			slices.Sort(xattrs)
			fmt.Fprintln(&list, line(h, xattrs, content))
		}
	}
	return list.String(), nil
}

// xattrRecord begins the names of extended attributes in tar archives.
const xattrRecord = "SCHILY.xattr."
