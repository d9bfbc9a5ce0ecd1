package test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// isBlob reports whether the request fetches the layer number i of img.
func isBlob(t *testing.T, r *http.Request, img v1.Image, i int) bool {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Error(err)
		return false
	}
	digest, err := layers[i].Digest()
	if err != nil {
		t.Error(err)
		return false
	}
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/blobs/"+digest.String())
}

func compressed(t *testing.T, img v1.Image, i int) []byte {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	r, err := layers[i].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestImageErrors pulls from registries that answer wrongly: there is one clear error, and
// nothing half-made; once the registry answers right, the same store works.
func TestImageErrors(t *testing.T) {
	reg := startRegistry(t)
	img := imageOf(t, v1.Config{}, busyboxLayer(t), ownerEntries())
	image := reg.push(t, "errors", img)
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	base := compressed(t, img, 0)
	corrupt := bytes.Clone(base)
	corrupt[len(corrupt)/2] ^= 1
	answer := func(status int, body string) func(w http.ResponseWriter, r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(status)
			io.WriteString(w, body)
			return true
		}
	}
	for name, tt := range map[string]struct {
		handle  func(w http.ResponseWriter, r *http.Request) bool
		message string
	}{
		"unknown": {nil, "not found in its registry"},
		"401": {func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
			return answer(401, `{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}`)(w, r)
		}, "subuidless login"},
		"429": {answer(429, `{"errors":[{"code":"TOOMANYREQUESTS","message":"slowly"}]}`), "the registry limits the number of requests; wait"},
		"manifest of another image": {func(w http.ResponseWriter, r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, "/manifests/"+digest.String()) && answer(200, "{}")(w, r)
		}, "does not match"},
		"manifest is garbage": {func(w http.ResponseWriter, r *http.Request) bool {
			return strings.Contains(r.URL.Path, "/manifests/") && answer(200, "garbage")(w, r)
		}, "manifest"},
		"corrupt blob": {func(w http.ResponseWriter, r *http.Request) bool {
			if !isBlob(t, r, img, 0) {
				return false
			}
			w.Write(corrupt)
			return true
		}, "does not match its digest"},
		"long blob": {func(w http.ResponseWriter, r *http.Request) bool {
			if !isBlob(t, r, img, 0) {
				return false
			}
			w.Write(append(bytes.Clone(base), "more"...))
			return true
		}, "longer than"},
		"blob is gone": {func(w http.ResponseWriter, r *http.Request) bool {
			return isBlob(t, r, img, 1) && answer(404, `{"errors":[{"code":"BLOB_UNKNOWN"}]}`)(w, r)
		}, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			store := imageStore(t)
			reg.handle = tt.handle
			wanted := image
			switch name {
			case "unknown":
				wanted = reg.host + "/unknown:1"
			case "manifest of another image":
				wanted = reg.host + "/errors@" + digest.String()
			}
			out := fails(t, "pull", "-q", store, wanted)
			if !strings.Contains(out, tt.message) || strings.Count(out, "subuidless:") != 1 {
				t.Errorf("the message has no %q, or is not one:\n%s", tt.message, out)
			}
			if out := subuidless(t, "images", "-q", store); out != "" {
				t.Errorf("the store has an image:\n%s", out)
			}
			subuidless(t, "store", "check", store)
			reg.handle = nil
			subuidless(t, "pull", "-q", store, image)
			subuidless(t, "run", "--rm", store, image, "true")
		})
	}
}

// TestImageWrongDigests pulls an image whose configuration says other digests of the uncompressed
// layers than they have.
func TestImageWrongDigests(t *testing.T) {
	reg := startRegistry(t)
	img := imageOf(t, v1.Config{}, busyboxLayer(t), ownerEntries())
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.RootFS.DiffIDs[1].Hex = strings.Repeat("1", 64)
	if img, err = mutate.ConfigFile(img, file); err != nil {
		t.Fatal(err)
	}
	store := imageStore(t)
	out := fails(t, "pull", "-q", store, reg.push(t, "wrong", img))
	wantText(t, "pull", out, "does not match its digest: its uncompressed content has sha256:")
	if strings.Count(out, "subuidless:") != 1 {
		t.Errorf("the message is not one: %s", out)
	}
	inOrder(t, store, 0)
	file.RootFS.DiffIDs = file.RootFS.DiffIDs[:1]
	if img, err = mutate.ConfigFile(img, file); err != nil {
		t.Fatal(err)
	}
	wantText(t, "pull", fails(t, "pull", "-q", store, reg.push(t, "wrong:2", img)), "it has 2 layers, but its configuration 1")
	inOrder(t, store, 0)
}

// TestImageResumes breaks the connection in the middle of a blob, several times, and refuses a
// range in the end.
func TestImageResumes(t *testing.T) {
	reg := startRegistry(t)
	img := imageOf(t, v1.Config{}, busyboxLayer(t))
	image := reg.push(t, "resumes", img)
	base := compressed(t, img, 0)
	var requests, limited atomic.Int32
	reg.handle = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/manifests/") && limited.Add(1) == 1 {
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}
		if !isBlob(t, r, img, 0) {
			return false
		}
		from := 0
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		n := requests.Add(1)
		if ranged := n == 2 || n == 3; ranged != (from > 0) {
			t.Errorf("request %d begins at %d", n, from)
		}
		if n == 3 { // and now without a range
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return true
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(base)-from))
		if from > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(base)-1, len(base)))
			w.WriteHeader(http.StatusPartialContent)
		}
		end := len(base)
		if n < 3 {
			end = from + (len(base)-from)/2
		}
		w.Write(base[from:end]) // shorter than Content-Length: the connection breaks
		return true
	}
	store := imageStore(t)
	subuidless(t, "pull", "-q", store, image)
	if n := requests.Load(); n != 4 {
		t.Errorf("%d requests for the blob, want 4", n)
	}
	subuidless(t, "run", "--rm", store, image, "true")
}

// TestImageKilled kills pulls at many moments, and pulls again.
func TestImageKilled(t *testing.T) {
	reg := startRegistry(t)
	img := imageOf(t, v1.Config{}, busyboxLayer(t), ownerEntries(), []entry{regular("last", "x")})
	image := reg.push(t, "killed", img)
	store := imageStore(t)
	root := strings.TrimPrefix(store, "--root=")
	for i := range 12 {
		victim := exec.Command("subuidless", "pull", "-q", store, image)
		var once sync.Once
		reached := make(chan struct{})
		at := func() { once.Do(func() { close(reached) }) }
		// In the first attempts, in the middle of the download; then while it unpacks.
		reg.handle = func(w http.ResponseWriter, r *http.Request) bool {
			if i < 4 && isBlob(t, r, img, i%3) {
				w.Header().Set("Content-Length", fmt.Sprint(len(compressed(t, img, i%3))))
				w.Write(compressed(t, img, i%3)[:10])
				w.(http.Flusher).Flush()
				at()
				<-r.Context().Done()
				return true
			}
			return false
		}
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
		if i >= 4 {
			go func() {
				for deadlineIn(t) {
					if found, _ := filepath.Glob(filepath.Join(root, "layers", "*")); len(found) >= 1+i%3 {
						break
					}
				}
				at()
			}()
		}
		ended := make(chan error, 1)
		go func() { ended <- victim.Wait() }()
		select {
		case <-reached:
			victim.Process.Kill()
			<-ended
		case <-ended:
		}
		subuidless(t, "store", "check", store)
	}
	reg.handle = nil
	subuidless(t, "pull", "-q", store, image)
	out := subuidless(t, "run", "--rm", store, image, "find", "/o", "-exec", "stat", "-c", statFormat, "{}", "+")
	diffLines(t, "after kills", sortedLines(out), wantStat(ownerEntries()))
	subuidless(t, "prune", "-f", store)
	for _, pattern := range []string{"tmp/*", "layers/*.new", "*.new"} {
		if left, err := filepath.Glob(filepath.Join(root, pattern)); err != nil || len(left) > 0 {
			t.Errorf("left after prune: %v (%v)", left, err)
		}
	}
	subuidless(t, "run", "--rm", store, image, "true")
}

// deadlineIn reports whether the test may still wait.
func deadlineIn(t *testing.T) bool { return t.Context().Err() == nil }

// TestImageParallel pulls one image several times at once: each blob is fetched once.
func TestImageParallel(t *testing.T) {
	reg := startRegistry(t)
	img := imageOf(t, v1.Config{}, busyboxLayer(t), ownerEntries())
	image := reg.push(t, "parallel", img)
	var fetched [2]atomic.Int32
	reg.handle = func(_ http.ResponseWriter, r *http.Request) bool {
		for i := range fetched {
			if isBlob(t, r, img, i) {
				fetched[i].Add(1)
			}
		}
		return false
	}
	store := imageStore(t)
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if out, err := command(t, "subuidless", "run", "--rm", "-q", store, image, "stat", "-c", "%u", "/o/33/fifo").CombinedOutput(); err != nil || string(out) != "33\n" {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	all.Wait()
	for i := range fetched {
		if n := fetched[i].Load(); n != 1 {
			t.Errorf("layer %d was fetched %d times", i, n)
		}
	}
	subuidless(t, "store", "check", store)
}

// TestImageDiskFull pulls into a file system that is too small.
func TestImageDiskFull(t *testing.T) {
	reg := startRegistry(t)
	random := make([]byte, 3<<20)
	for i := range random {
		random[i] = byte(i*i>>8 ^ i*2654435761>>16)
	}
	small := reg.push(t, "small", imageOf(t, v1.Config{}, []entry{regular("x", "x")}))
	large := reg.push(t, "large", imageOf(t, v1.Config{}, []entry{regular("a", string(random))}, []entry{regular("b", string(random)), regular("c", string(random))}))
	script := fmt.Sprintf(`mount -t tmpfs -o size=12m tmpfs /mnt && subuidless pull -q --root /mnt/s %s &&
! subuidless pull -q --root /mnt/s %s && subuidless store check --root /mnt/s && subuidless images --root /mnt/s &&
subuidless prune -f --root /mnt/s && test -z "$(ls /mnt/s/tmp)" && subuidless pull -q --root /mnt/s %[1]s`, small, large)
	out, err := command(t, "unshare", "-rm", "sh", "-c", script).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "no space left on device") || !strings.Contains(string(out), "/small ") || strings.Contains(string(out), "/large ") {
		t.Errorf("%v\n%s", err, out)
	}
}
