package dockerfile

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// run evaluates RUN.
func (e *evaluator) run(step *Step, c *instructions.RunCommand) error {
	if instructions.GetSecurity(c) != instructions.SecuritySandbox {
		return errors.New("--security=insecure is not supported: it needs privileges that an unprivileged user cannot grant")
	}
	if len(instructions.GetDevices(c)) > 0 {
		return errors.New("--device is not supported: devices of the host cannot be given to a build")
	}
	r := &Run{
		Env: slices.Clone(e.env), Proxies: e.file.proxyEnv(), User: e.image.Config.User,
		Dir: e.workdir(), Network: instructions.GetNetwork(c),
	}
	line := c.ShellDependantCmdLine
	if len(c.Files) > 0 {
		if err := e.hereDocument(r, &line); err != nil {
			return err
		}
	}
	if len(line.CmdLine) == 0 || line.CmdLine[0] == "" {
		return errors.New("RUN has no command")
	}
	r.Args = e.withShell(line)
	for _, m := range instructions.GetMounts(c) {
		mount, err := e.mount(m)
		if err != nil {
			return fmt.Errorf("--mount: %w", err)
		}
		r.Mounts = append(r.Mounts, *mount)
	}
	step.Run = r
	step.History = "RUN " + e.withArgs(r.Args)
	return nil
}

// withArgs returns a command for the history, with the arguments that it can see, as docker
// writes it.
func (e *evaluator) withArgs(args []string) string {
	var all []string
	for _, key := range e.args {
		value, _ := e.env.Get(key)
		all = append(all, key+"="+value)
	}
	if len(all) > 0 {
		all = append([]string{fmt.Sprintf("|%d", len(all))}, all...)
	}
	return strings.Join(append(all, args...), " ")
}

// hereDocument prepares a RUN with here-documents, as BuildKit does: one that is the whole command
// is a script, others are for the shell.
func (e *evaluator) hereDocument(r *Run, line *instructions.ShellDependantCmdLine) error {
	if len(line.CmdLine) != 1 || !line.PrependShell {
		return errors.New("here-documents need the shell form of RUN")
	}
	if parser.MustParseHeredoc(line.CmdLine[0]) == nil {
		var b strings.Builder
		b.WriteString(line.CmdLine[0])
		for _, f := range line.Files {
			b.WriteString("\n" + f.Data + f.Name)
		}
		line.CmdLine = []string{b.String()}
		return nil
	}
	data := line.Files[0].Data
	if line.Files[0].Chomp {
		data = parser.ChompHeredocContent(data)
	}
	line.CmdLine = []string{data}
	if strings.HasPrefix(data, "#!") {
		r.Script = &Inline{Name: line.Files[0].Name, Content: data}
		line.CmdLine, line.PrependShell = []string{path.Join(ScriptDir, r.Script.Name)}, false
	}
	return nil
}

// mount evaluates an option --mount of RUN.
func (e *evaluator) mount(m *instructions.Mount) (*Mount, error) {
	out := &Mount{Type: string(m.Type), ReadOnly: m.ReadOnly, Size: m.SizeLimit, ID: m.CacheID, Required: m.Required}
	if m.Mode != nil {
		mode := int64(*m.Mode)
		out.Mode = &mode
	}
	if m.UID != nil {
		out.UID = uint32(*m.UID)
	}
	if m.GID != nil {
		out.GID = uint32(*m.GID)
	}
	if m.Target != "" {
		if out.Target = path.Clean(m.Target); !path.IsAbs(out.Target) {
			out.Target = path.Join(e.workdir(), m.Target)
		}
	}
	switch m.Type {
	case instructions.MountTypeSecret:
		out.ID = cmp.Or(m.Source, m.CacheID, path.Base(out.Target))
		if m.Env != nil {
			out.Env = cmp.Or(*m.Env, path.Base(out.ID))
		} else if out.Target == "" {
			out.Target = path.Join("/run/secrets", path.Base(out.ID))
		}
		return out, nil
	case instructions.MountTypeSSH:
		if m.Source != "" {
			return nil, errors.New("type=ssh has no source")
		}
		out.ID = cmp.Or(m.CacheID, "default")
		return out, nil
	}
	if out.Target == "" || out.Target == "/" {
		return nil, fmt.Errorf("target %q: must be a path below / in the container", m.Target)
	}
	out.Source = path.Join("/", m.Source)
	if m.From != "" && m.Type != instructions.MountTypeTmpfs {
		ref, err := e.stage.ref(m.From)
		if err != nil {
			return nil, err
		}
		out.From = &ref
	}
	if m.Type == instructions.MountTypeCache {
		out.ID, out.Sharing = cmp.Or(m.CacheID, out.Target), cmp.Or(string(m.CacheSharing), "shared")
	}
	return out, nil
}
