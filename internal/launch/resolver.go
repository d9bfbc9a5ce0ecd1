package launch

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// The keywords of resolv.conf(5) that docker has flags for.
const (
	nameserver    = "nameserver"
	searchDomains = "search"
	resolverFlags = "options"
)

// ParseResolver returns the line of resolv.conf(5) for a flag of docker, such as dns-search, and its
// value. The domain "." means that none is searched.
func ParseResolver(flag, value string) (string, error) {
	if value == "" || strings.ContainsFunc(value, unicode.IsSpace) {
		return "", errors.New("must be one word")
	}
	switch flag {
	case "dns":
		if _, err := netip.ParseAddr(value); err != nil {
			return "", fmt.Errorf("%q is not an IP address", value)
		}
		return nameserver + " " + value, nil
	case "dns-search":
		return searchDomains + " " + value, nil
	}
	return resolverFlags + " " + value, nil
}

// resolverFor returns the container's resolv.conf(5): that of the host, in which lines replace those
// that begin with the same keyword.
func resolverFor(host []byte, lines []string) []byte {
	if len(lines) == 0 {
		return host
	}
	given := map[string][]string{}
	for _, line := range lines {
		keyword, value, _ := strings.Cut(line, " ")
		given[keyword] = append(given[keyword], value)
	}
	var b bytes.Buffer
	for line := range bytes.Lines(host) {
		keyword := ""
		if fields := bytes.Fields(line); len(fields) > 0 {
			keyword = string(fields[0])
		}
		if keyword == "domain" { // an older form of search
			keyword = searchDomains
		}
		if given[keyword] == nil {
			b.Write(bytes.TrimSuffix(line, []byte("\n")))
			b.WriteByte('\n')
		}
	}
	if domains := given[searchDomains]; domains != nil && !slices.Contains(domains, ".") {
		b.WriteString(searchDomains + " " + strings.Join(domains, " ") + "\n")
	}
	for _, address := range given[nameserver] {
		b.WriteString(nameserver + " " + address + "\n")
	}
	if flags := given[resolverFlags]; flags != nil {
		b.WriteString(resolverFlags + " " + strings.Join(flags, " ") + "\n")
	}
	return b.Bytes()
}
