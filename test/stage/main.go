// Command stage runs the stages of make check, make test and make suites. It prints one
// line for each stage, and go test's own line for each package:
//
//	lint ... ok 8.1s
//	prepare ... ok 2.3s
//	tests ...
//	ok  	github.com/rootless-containers/subuidless/internal/acl	0.012s
//	tests ... ok 312.4s (1804 passed, 3 skipped)
//
// While a stage takes long, it prints its progress from time to time. The complete output
// goes to a log file, which is removed unless a stage fails.
package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stage is a command with a limit that it reaches only if it hangs: it is many times
// what the command takes on an idle machine.
type stage struct {
	name  string
	limit time.Duration
	argv  []string
}

var (
	lint    = stage{"lint", 20 * time.Minute, []string{"make", "lint"}}
	arm64   = stage{"vet-arm64", 20 * time.Minute, []string{"make", "vet-arm64"}}
	prepare = stage{"prepare", 2 * time.Hour, []string{"test/prepare"}}
	unit    = stage{"unit tests", 20 * time.Minute, goTest(10*time.Minute, "-skip=^TestOracle$", "./bench", "./cmd/...", "./internal/...", "./test/deps", "./test/oracle", "./test/pages", "./test/recording", "./test/stage")}
	tests   = stage{"tests", 100 * time.Minute, goTest(90*time.Minute, "./...")}
	suites  = stage{"suites", 3*time.Hour + 10*time.Minute, goTest(3*time.Hour, "-run=^TestSuites$", "./test")}
)

// plans are the stages of each make target.
var plans = map[string][]stage{
	"check":  {lint, arm64, unit},
	"test":   {lint, arm64, prepare, tests},
	"suites": {prepare, suites},
}

// goTest returns the command that tests packages, each with this limit.
func goTest(limit time.Duration, args ...string) []string {
	return append([]string{"go", "test", "-json", "-count=1", "-timeout=" + limit.String()}, args...)
}

func main() {
	var plan []stage
	if len(os.Args) == 2 {
		plan = plans[os.Args[1]]
	}
	if plan == nil {
		fmt.Fprintf(os.Stderr, "usage: stage %s\n", strings.Join(slices.Sorted(maps.Keys(plans)), "|"))
		os.Exit(2)
	}
	// go run ends without this program when it is terminated.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "stage: prctl:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	if err := run(ctx, os.Stdout, plan); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run runs the stages until one fails.
func run(ctx context.Context, screen io.Writer, plan []stage) error {
	log, err := os.CreateTemp("", "subuidless-make-*.log")
	if err != nil {
		return err
	}
	defer log.Close()
	for _, s := range plan {
		if err := s.run(ctx, screen, log); err != nil {
			return fmt.Errorf("%w\nThe complete output is in %s", err, log.Name())
		}
	}
	return os.Remove(log.Name())
}
