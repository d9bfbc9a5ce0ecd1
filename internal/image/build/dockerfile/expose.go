package dockerfile

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"golang.org/x/sys/unix"
)

// expose evaluates EXPOSE.
func (e *evaluator) expose(step *Step, c *instructions.ExposeCommand) error {
	config := &e.image.Config
	if config.ExposedPorts == nil {
		config.ExposedPorts = map[string]struct{}{}
	}
	var all []string
	for _, p := range c.Ports {
		words, err := e.lex.ProcessWords(p, e.env)
		if err != nil {
			return err
		}
		for _, word := range words {
			ports, err := parsePorts(word)
			if err != nil {
				return fmt.Errorf("EXPOSE %s: %w", word, err)
			}
			for _, port := range ports {
				config.ExposedPorts[port] = struct{}{}
			}
			all = append(all, ports...)
		}
	}
	step.History = fmt.Sprintf("EXPOSE %v", all)
	return nil
}

// parsePorts returns the ports of [[IP:]HOSTPORT:]PORT[-PORT][/PROTOCOL] as PORT/PROTOCOL. The
// part for the host means nothing, and is accepted as docker does.
func parsePorts(text string) ([]string, error) {
	text = text[strings.LastIndex(text, ":")+1:]
	numbers, protocol, _ := strings.Cut(text, "/")
	protocol = strings.ToLower(cmp.Or(protocol, "tcp"))
	switch protocol {
	case "tcp", "udp", "sctp":
	default:
		return nil, fmt.Errorf("the protocol %q is not tcp, udp or sctp", protocol)
	}
	first, last, isRange := strings.Cut(numbers, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	if err1 != nil || err2 != nil || to < from {
		return nil, fmt.Errorf("%q is not a port (0 to 65535) or a range of them", numbers)
	}
	var ports []string
	for n := from; n <= to; n++ {
		ports = append(ports, fmt.Sprintf("%d/%s", n, protocol))
	}
	return ports, nil
}

// checkSignal returns an error unless text names a signal: TERM, SIGTERM, 15 or SIGRTMIN+3.
func checkSignal(text string) error {
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n <= 64 {
		return nil
	}
	name := "SIG" + strings.TrimPrefix(strings.ToUpper(text), "SIG")
	if unix.SignalNum(name) != 0 {
		return nil
	}
	for _, base := range []string{"SIGRTMIN", "SIGRTMAX"} {
		if rest, ok := strings.CutPrefix(name, base); ok {
			if n, err := strconv.Atoi(cmp.Or(rest, "0")); err == nil && n >= -30 && n <= 30 {
				return nil
			}
		}
	}
	return fmt.Errorf("STOPSIGNAL %s: not a signal", text)
}
