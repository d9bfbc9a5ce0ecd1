package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// buildVersion returns the version of this program, as the Go linker recorded it:
// "v1.2.3 (commit 0123456789ab, go1.26.8, linux/amd64)".
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	return formatVersion(info, runtime.GOOS+"/"+runtime.GOARCH)
}

// commitDigits is how much of a commit's hash is shown: as much as Go's pseudo-versions show.
const commitDigits = 12

// formatVersion returns the version line for info without the program's name. The commit
// is omitted if the build recorded none, and has the suffix "-dirty" if the work tree had
// uncommitted changes. Platform is GOOS/GOARCH.
func formatVersion(info *debug.BuildInfo, platform string) string {
	// "(devel)" if the build had no version control information.
	version := strings.Trim(info.Main.Version, "()")
	if version == "" {
		version = "unknown"
	}
	commit, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(len(s.Value), commitDigits)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	details := []string{info.GoVersion, platform}
	if commit != "" {
		details = append([]string{"commit " + commit + dirty}, details...)
	}
	return fmt.Sprintf("%s (%s)", version, strings.Join(details, ", "))
}
