package container

import (
	"strconv"
	"strings"

	"github.com/docker/go-units"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/launch"
)

// InspectedHost is what the user has set for a container, by docker's names.
type InspectedHost struct {
	Binds          []string
	Tmpfs          map[string]string `json:",omitempty"` // options, by paths in the container
	VolumesFrom    []string
	ExtraHosts     []string
	Dns            []string //nolint:revive // docker's name
	DnsOptions     []string //nolint:revive // docker's name
	DnsSearch      []string //nolint:revive // docker's name
	GroupAdd       []string
	CapAdd         []string
	CapDrop        []string
	Devices        []InspectedDevice
	Ulimits        []*units.Ulimit
	PortBindings   InspectedPorts
	NetworkMode    string
	Sysctls        map[string]string
	ShmSize        int64             // bytes; 0: half of the memory
	Annotations    map[string]string `json:",omitempty"`
	Privileged     bool              // never
	AutoRemove     bool
	ReadonlyRootfs bool

	Memory            int64
	MemorySwap        int64
	MemoryReservation int64
	NanoCpus          int64
	CpuShares         int64 //nolint:revive // docker's name
	CpuPeriod         int64 //nolint:revive // docker's name
	CpuQuota          int64 //nolint:revive // docker's name
	CpusetCpus        string
	CpusetMems        string
	PidsLimit         *int64            // nil: none
	CgroupConf        map[string]string `json:",omitempty"` // as podman names it

	LogConfig struct {
		Type   string
		Config map[string]string
	}
	RestartPolicy struct{ Name string }
}

// InspectedDevice is a device of the host that a container has.
type InspectedDevice struct{ PathOnHost, PathInContainer, CgroupPermissions string }

// InspectedPorts are published ports, by PORT/PROTOCOL of the container.
type InspectedPorts map[string][]InspectedPort

// InspectedPort is a port of the host.
type InspectedPort struct{ HostIp, HostPort string } //nolint:revive // docker's name

// inspectHost returns what the user has set for a container.
func inspectHost(s *storedir.Settings, autoRemove bool) InspectedHost {
	list := func(l []string) []string { return append([]string{}, l...) } // in JSON not null
	r := &s.Resources
	h := InspectedHost{
		VolumesFrom: list(s.VolumesFrom), ExtraHosts: list(s.Hosts), GroupAdd: list(s.Groups), CapAdd: list(s.CapAdd), CapDrop: list(s.CapDrop),
		Dns: []string{}, DnsOptions: []string{}, DnsSearch: []string{}, Devices: []InspectedDevice{}, Ulimits: []*units.Ulimit{}, PortBindings: inspectPorts(s),
		Sysctls: keyValues(s.Sysctls), ShmSize: s.ShmSize, Annotations: s.Annotations,
		Memory: r.Memory, MemorySwap: r.MemorySwap, MemoryReservation: r.MemoryReservation, NanoCpus: r.NanoCpus, CpuShares: r.CpuShares,
		CpuPeriod: r.CpuPeriod, CpuQuota: r.CpuQuota, CpusetCpus: r.CpusetCpus, CpusetMems: r.CpusetMems, CgroupConf: r.Conf,
		NetworkMode: s.Net, AutoRemove: autoRemove, ReadonlyRootfs: s.ReadOnly,
	}
	if r.PidsLimit > 0 {
		h.PidsLimit = &r.PidsLimit
	}
	if r.MemorySwap == 0 { // what it then is
		h.MemorySwap = 2 * r.Memory
	}
	for flag, to := range map[string]*[]string{"dns": &h.Dns, "dns-option": &h.DnsOptions, "dns-search": &h.DnsSearch} {
		*to = append(*to, launch.ResolverValues(s.Resolver, flag)...)
	}
	for _, spec := range s.Devices {
		source, target, access := launch.SplitDevice(spec)
		h.Devices = append(h.Devices, InspectedDevice{source, target, access})
	}
	for _, text := range s.Limits {
		if u, err := units.ParseUlimit(text); err == nil { // it has been checked
			h.Ulimits = append(h.Ulimits, u)
		}
	}
	h.LogConfig.Type, h.RestartPolicy.Name = "k8s-file", "no"
	h.LogConfig.Config = map[string]string{}
	if s.LogSize > 0 {
		h.LogConfig.Config["max-size"] = strconv.FormatInt(s.LogSize, 10)
		h.LogConfig.Config["max-file"] = strconv.Itoa(max(s.LogFiles, 1))
	}
	if s.NoLog {
		h.LogConfig.Type = "none"
	}
	for _, m := range s.Mounts {
		if m.Tmpfs != nil {
			if h.Tmpfs == nil {
				h.Tmpfs = map[string]string{}
			}
			h.Tmpfs[m.Destination] = tmpfsOptions(&m)
			continue
		}
		bind := m.Source + ":" + m.Destination
		if m.ReadOnly {
			bind += ":ro"
		}
		h.Binds = append(h.Binds, bind)
	}
	return h
}

// tmpfsOptions returns the options of --tmpfs for a mount.
func tmpfsOptions(m *storedir.Mount) string {
	var options []string
	if m.Tmpfs.Size > 0 {
		options = append(options, "size="+strconv.FormatInt(m.Tmpfs.Size, 10))
	}
	if m.Tmpfs.Mode > 0 {
		options = append(options, "mode="+strconv.FormatUint(uint64(m.Tmpfs.Mode), 8))
	}
	if !m.Tmpfs.NoExec {
		options = append(options, "exec")
	}
	if m.ReadOnly {
		options = append(options, "ro")
	}
	return strings.Join(options, ",")
}

// inspectPorts returns the published ports, which are the same on the host and in the container.
func inspectPorts(s *storedir.Settings) InspectedPorts {
	ports := InspectedPorts{}
	for _, text := range s.Ports {
		for port, protocol := range launch.Ports(text) {
			number := strconv.Itoa(port)
			ports[number+"/"+protocol] = []InspectedPort{{HostPort: number}}
		}
	}
	return ports
}
