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

// resolverKeywords are the keywords by docker's flags.
var resolverKeywords = map[string]string{"dns": nameserver, "dns-search": searchDomains, "dns-option": resolverFlags}

// ResolverValues returns the values of a flag of docker, such as dns-search, in lines that ParseResolver has
// returned.
func ResolverValues(lines []string, flag string) []string {
	var values []string
	for _, line := range lines {
		if keyword, value, _ := strings.Cut(line, " "); keyword == resolverKeywords[flag] {
			values = append(values, value)
		}
	}
	return values
}

// ParseResolver returns the line of resolv.conf(5) for a flag of docker, such as dns-search, and its
// value. The domain "." means that none is searched.
func ParseResolver(flag, value string) (string, error) {
	if value == "" || strings.ContainsFunc(value, unicode.IsSpace) {
		return "", errors.New("must be one word")
	}
	keyword := resolverKeywords[flag]
	if keyword == nameserver {
		if _, err := netip.ParseAddr(value); err != nil {
			return "", fmt.Errorf("%q is not an IP address", value)
		}
	}
	return keyword + " " + value, nil
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
