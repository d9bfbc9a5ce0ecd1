package dockerfile

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// parse parses a Dockerfile of the lines, with these arguments.
func parse(args map[string]string, lines ...string) (*File, []string, error) {
	var warnings []string
	amd64 := ocispec.Platform{OS: "linux", Architecture: "amd64"}
	f, err := Parse([]byte(strings.Join(lines, "\n")+"\n"), Options{
		Name: "Dockerfile", Args: args, Platform: ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}, Build: amd64,
		Warn: func(message string) { warnings = append(warnings, message) },
		Lint: func(w Warning) { warnings = append(warnings, fmt.Sprintf("%d: %s", w.Line, w.Rule)) },
	})
	return f, warnings, err
}

// evaluate evaluates the target on top of an empty image, and what it is based on.
func evaluate(s *Stage) (*Result, error) {
	var base Base
	if s.Base.Stage != nil {
		r, err := evaluate(s.Base.Stage)
		if err != nil {
			return nil, err
		}
		base = r.After
	}
	return s.Evaluate(base)
}

func mustEvaluate(t *testing.T, args map[string]string, lines ...string) *Result {
	t.Helper()
	f, _, err := parse(args, lines...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := evaluate(f.Target)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestErrors has an error in each instruction: it is refused with the line and the reason.
func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  string
	}{
		{nil, "Dockerfile:1: "},
		{[]string{"RUN x"}, "Dockerfile:1: "},
		{[]string{"FROM a", "", "NONSENSE x"}, "Dockerfile:3: unknown instruction: NONSENSE"},
		{[]string{"FROM"}, "Dockerfile:1: FROM requires"},
		{[]string{"FROM a AS 1x"}, "Dockerfile:1: invalid name for build stage"},
		{[]string{"FROM a AS b c"}, "Dockerfile:1: FROM requires"},
		{[]string{"FROM $NONE"}, "Dockerfile:1: the base $NONE is empty"},
		{[]string{"FROM --platform=$NONE a"}, "Dockerfile:1: --platform=$NONE is empty"},
		{[]string{"FROM --nothing=1 a"}, "Dockerfile:1: unknown flag"},
		{[]string{"# syntax=example.com/other", "FROM a"}, "Dockerfile:1: syntax example.com/other: only docker/dockerfile is supported"},
		{[]string{"# escape=x", "FROM a"}, "Dockerfile:1: invalid escape token 'x'"},
		{[]string{"# check=nothing", "FROM a"}, "Dockerfile:1: invalid check option"},
		{[]string{"# check=error=true", "FROM a", "MAINTAINER x"}, "Dockerfile:3: MaintainerDeprecated"},
		{[]string{"ARG", "FROM a"}, "Dockerfile:1: ARG requires at least one argument"},
		{[]string{"FROM a", "ARG a b=${"}, "Dockerfile:2: "},
		{[]string{"FROM a", "ENV"}, "Dockerfile:2: ENV requires at least one argument"},
		{[]string{"FROM a", "ENV a"}, "Dockerfile:2: ENV must have two arguments"},
		{[]string{"FROM a", "ENV A=${B"}, "Dockerfile:2: "},
		{[]string{"FROM a", "ENV A=${B:?none}"}, "B: none"},
		{[]string{"FROM a", "LABEL"}, "Dockerfile:2: LABEL requires at least one argument"},
		{[]string{"FROM a", "MAINTAINER"}, "Dockerfile:2: MAINTAINER requires exactly one argument"},
		{[]string{"FROM a", "USER"}, "Dockerfile:2: USER requires exactly one argument"},
		{[]string{"FROM a", "WORKDIR"}, "Dockerfile:2: WORKDIR requires exactly one argument"},
		{[]string{"FROM a", "SHELL x"}, "Dockerfile:2: SHELL requires the arguments to be in JSON form"},
		{[]string{"FROM a", "STOPSIGNAL SIGNOTHING"}, "Dockerfile:2: STOPSIGNAL SIGNOTHING: not a signal"},
		{[]string{"FROM a", "STOPSIGNAL 65"}, "Dockerfile:2: STOPSIGNAL 65: not a signal"},
		{[]string{"FROM a", "HEALTHCHECK"}, "Dockerfile:2: HEALTHCHECK requires at least one argument"},
		{[]string{"FROM a", "HEALTHCHECK --interval=x CMD y"}, "Dockerfile:2: "},
		{[]string{"FROM a", "HEALTHCHECK NOTHING"}, "Dockerfile:2: Unknown type"},
		{[]string{"FROM a", "ONBUILD FROM x"}, "Dockerfile:2: FROM isn't allowed as an ONBUILD trigger"},
		{[]string{"FROM a", "ONBUILD ONBUILD RUN x"}, "Dockerfile:2: "},
		{[]string{"FROM a", "ONBUILD NONSENSE"}, "Dockerfile:2: unknown instruction"},
		{[]string{"FROM a", "VOLUME"}, "Dockerfile:2: VOLUME requires at least one argument"},
		{[]string{"FROM a", `VOLUME [""]`}, "Dockerfile:2: VOLUME specified can not be an empty string"},
		{[]string{"FROM a", "EXPOSE"}, "Dockerfile:2: EXPOSE requires at least one argument"},
		{[]string{"FROM a", "EXPOSE 70000"}, "Dockerfile:2: EXPOSE 70000"},
		{[]string{"FROM a", "EXPOSE 80/icmp"}, `Dockerfile:2: EXPOSE 80/icmp: the protocol "icmp"`},
		{[]string{"FROM a", "EXPOSE 9-8"}, "Dockerfile:2: EXPOSE 9-8"},
		{[]string{"FROM a", "RUN"}, "Dockerfile:2: "},
		{[]string{"FROM a", "RUN --nothing x"}, "Dockerfile:2: unknown flag"},
		{[]string{"FROM a", "RUN --security=insecure x"}, "Dockerfile:2: --security=insecure is not supported"},
		{[]string{"FROM a", "RUN --device=vendor.com/x x"}, "Dockerfile:2: --device is not supported"},
		{[]string{"FROM a", "RUN --network=other x"}, "Dockerfile:2: invalid network mode"},
		{[]string{"FROM a", "RUN --mount=type=nothing,target=/x x"}, "Dockerfile:2: unsupported mount type"},
		{[]string{"FROM a", "RUN --mount=type=bind,target=/ x"}, `Dockerfile:2: --mount: target "/"`},
		{[]string{"FROM a", "RUN --mount=type=cache,target=/x,sharing=nothing x"}, "Dockerfile:2: unsupported sharing"},
		{[]string{"FROM a", "RUN --mount=type=secret x"}, "Dockerfile:2: invalid secret mount"},
		{[]string{"FROM a", "RUN --mount=type=ssh,source=x x"}, "Dockerfile:2: --mount: type=ssh has no source"},
		{[]string{"FROM a", "RUN --mount=from=b,target=/x x", "FROM a AS b"}, "Dockerfile:2: --mount: from=b: the stage must come before"},
		{[]string{"FROM a", "COPY x"}, "Dockerfile:2: COPY requires at least two arguments"},
		{[]string{"FROM a", "COPY --from=b x y", "FROM a AS b"}, "Dockerfile:2: --from=b: the stage must come before"},
		{[]string{"FROM a AS self", "COPY --from=self x y"}, "Dockerfile:2: --from=self: the stage must come before"},
		{[]string{"FROM a", "COPY --from=7 x y"}, "Dockerfile:2: --from=7: there is no stage"},
		{[]string{"FROM a", "COPY --from=$X x y"}, "Dockerfile:2: --from=$X: variables are not expanded"},
		{[]string{"FROM a", "COPY --chmod=99999 x y"}, "Dockerfile:2: --chmod=99999"},
		{[]string{"FROM a", "COPY --chmod=17777 x y"}, "Dockerfile:2: --chmod=17777: must be between"},
		{[]string{"FROM a", "COPY --chmod=u+q x y"}, "Dockerfile:2: --chmod=u+q"},
		{[]string{"FROM a", "COPY --link --chown=name x y"}, "Dockerfile:2: --chown=name: with --link"},
		{[]string{"FROM a", "COPY http://example.com/x y"}, "Dockerfile:2: COPY http://example.com/x: a URL is for ADD only"},
		{[]string{"FROM a", "COPY --checksum=x x y"}, "Dockerfile:2: unknown flag"},
		{[]string{"FROM a", "COPY <<x <<y"}, "Dockerfile:2: "},
		{[]string{"FROM a", "ADD x"}, "Dockerfile:2: ADD requires at least two arguments"},
		{[]string{"FROM a", "COPY git@example.com:x/y.git /x"}, "Dockerfile:2: COPY git@example.com:x/y.git: a git repository is for ADD only"},
		{[]string{"FROM a", "ADD --keep-git-dir=true x /x"}, "Dockerfile:2: --keep-git-dir: ADD has no source that is a git repository"},
		{[]string{"FROM a", "ADD --checksum=sha256:00 x /x"}, "Dockerfile:2: --checksum: ADD must have one source, which is a URL"},
		{[]string{"FROM a", "ADD --checksum=sha256:00 https://example.com/x.git /x"}, "Dockerfile:2: --checksum=sha256:00: must be a commit"},
		{[]string{"FROM a", "ADD --checksum=md5:00 http://example.com/x /x"}, "Dockerfile:2: --checksum=md5:00"},
	} {
		f, _, err := parse(nil, tt.lines...)
		if err == nil {
			for _, s := range f.Stages {
				if _, e := evaluate(s); e != nil && err == nil {
					err = e
				}
			}
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v; want %q", tt.lines, err, tt.want)
		}
	}
}

func TestTarget(t *testing.T) {
	_, _, err := parse(nil, "FROM a AS one", "FROM b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse([]byte("FROM a AS one\nFROM b\n"), Options{Name: "Dockerfile", Target: "two", Warn: func(string) {}, Lint: func(Warning) {}}); err == nil || !strings.Contains(err.Error(), `no stage "two" (it has "one", 1)`) {
		t.Errorf("a target that does not exist: %v", err)
	}
	for target, want := range map[string]int{"": 1, "ONE": 0, "0": 0, "1": 1} {
		f, err := Parse([]byte("FROM a AS one\nFROM b\n"), Options{Name: "Dockerfile", Target: target, Warn: func(string) {}, Lint: func(Warning) {}})
		if err != nil || f.Target.Index != want {
			t.Errorf("target %q: %v, %v", target, f, err)
		}
	}
}

func TestArgs(t *testing.T) {
	lines := []string{
		"ARG BASE=image", "ARG VERSION=${BASE}-1", "ARG GIVEN=default",
		"FROM ${VERSION}", "ARG VERSION", "ARG GIVEN", "ARG LOCAL=${VERSION}x", "ARG TARGETPLATFORM", "ARG TARGETVARIANT", "ARG BUILDARCH", "ARG NONE",
		"RUN x",
	}
	f, warnings, err := parse(map[string]string{"GIVEN": "flag", "UNUSED": "1", "HTTP_PROXY": "http://proxy"}, lines...)
	if err != nil {
		t.Fatal(err)
	}
	if f.Target.Base.Image != "image-1" {
		t.Errorf("base %q", f.Target.Base.Image)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "UNUSED") {
		t.Errorf("warnings %q", warnings)
	}
	r, err := evaluate(f.Target)
	if err != nil {
		t.Fatal(err)
	}
	run := r.Steps[len(r.Steps)-1].Run
	want := []string{"PATH=" + defaultPath, "VERSION=image-1", "GIVEN=flag", "LOCAL=image-1x", "TARGETPLATFORM=linux/arm/v7", "TARGETVARIANT=v7", "BUILDARCH=amd64"}
	if !slices.Equal(run.Env, want) {
		t.Errorf("environment %q, want %q", run.Env, want)
	}
	if want := []string{"HTTP_PROXY=http://proxy", "http_proxy=http://proxy"}; !slices.Equal(run.Proxies, want) {
		t.Errorf("proxies %q", run.Proxies)
	}
	if !slices.Equal(r.Image.Config.Env, []string{"PATH=" + defaultPath}) {
		t.Errorf("arguments are in the image: %q", r.Image.Config.Env)
	}
	if history := r.Steps[len(r.Steps)-1].History; strings.Contains(history, "proxy") || !strings.Contains(history, "|7 VERSION=image-1") {
		t.Errorf("history %q", history)
	}
}

// TestTriggers evaluates ONBUILD of a base image.
func TestTriggers(t *testing.T) {
	f, _, err := parse(nil, "FROM builder AS tools", "FROM base", "ENV OWN=1")
	if err != nil {
		t.Fatal(err)
	}
	var base Base
	base.Image.Config.OnBuild = []string{"ENV A=1", "COPY --from=tools /x /y", "WORKDIR $A"}
	r, err := f.Target.Evaluate(base)
	if err != nil {
		t.Fatal(err)
	}
	if r.Image.Config.OnBuild != nil {
		t.Errorf("the triggers are still there: %q", r.Image.Config.OnBuild)
	}
	if len(r.Steps) != 4 || r.Steps[1].Copy.Sources[0].From.Stage != f.Stages[0] || r.Steps[2].Workdir.Path != "/1" || r.Steps[0].Line != 2 {
		t.Errorf("steps %+v", r.Steps)
	}
	base.Image.Config.OnBuild = []string{"EXPOSE nothing"}
	if _, err := f.Target.Evaluate(base); err == nil || !strings.Contains(err.Error(), "Dockerfile:2: ONBUILD EXPOSE nothing of the base image") {
		t.Errorf("a wrong trigger: %v", err)
	}
}

// TestConfig checks the configuration that is not compared with that of another program.
func TestConfig(t *testing.T) {
	r := mustEvaluate(t, nil, "FROM scratch AS a", "CMD x", "HEALTHCHECK --interval=1s --start-interval=2s CMD y", "FROM a", `ENTRYPOINT ["e"]`, "STOPSIGNAL SIGRTMIN+3", `SHELL ["/bin/bash", "-c"]`, "CMD z", "WORKDIR /a", "WORKDIR ../b/./c/", "USER 5")
	b, err := json.Marshal(r.Image.Config)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"Entrypoint":["e"]`, `"Cmd":["/bin/bash","-c","z"]`, `"WorkingDir":"/b/c"`, `"StartInterval":2000000000`, `"StopSignal":"SIGRTMIN+3"`, `"User":"5"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}

func TestMounts(t *testing.T) {
	r := mustEvaluate(t, map[string]string{"D": "/data"}, "FROM scratch", "ARG D", "WORKDIR /w",
		"RUN --mount=type=cache,target=${D} --mount=type=secret,id=a/b,env=TOKEN --mount=type=secret,id=c/d --mount=type=tmpfs,target=t,size=1m --mount=source=x,target=/y,rw --mount=type=ssh x")
	mounts := r.Steps[len(r.Steps)-1].Run.Mounts
	b, err := json.Marshal(mounts)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"Target":"/data","ReadOnly":false,"Size":0,"ID":"/data","Sharing":"shared"`,
		`"Type":"secret","Source":"","Target":"","ReadOnly":true,"Size":0,"ID":"a/b","Sharing":"","Required":false,"Env":"TOKEN"`,
		`"Target":"/run/secrets/d"`, `"Target":"/w/t","ReadOnly":false,"Size":1048576`, `"Source":"/x","Target":"/y","ReadOnly":false`, `"ID":"default"`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}
