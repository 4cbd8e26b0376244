package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/pires/go-proxyproto"

	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/origin"
)

// listeners are those of a server; plain and admin are nil where there are none.
type listeners struct{ main, plain, admin net.Listener }

// listenAll opens the listeners of cfg, all of them or none.
func listenAll(ctx context.Context, cfg config.Config, logger *slog.Logger) (on listeners, err error) {
	passed := activated()
	defer passed.close(logger)
	var open []net.Listener
	defer func() {
		if err != nil {
			for _, l := range open {
				_ = l.Close()
			}
			on = listeners{}
		}
	}()
	all := newCrowd(cfg.Limits.Connections, cfg.Limits.ConnectionsPerAddress)
	many := shared(cfg)
	for _, l := range []struct {
		into    *net.Listener
		address string
		setting string
		local   string // why it has to be this machine's; empty where it need not
		clients bool   // clients connect to it, perhaps by a balancer
	}{
		{&on.main, cfg.Listen, "listen", inDevelopment(cfg), true},
		{&on.plain, cfg.Plain.Listen, "plain.listen", inDevelopment(cfg), true},
		// It speaks plain HTTP and asks nobody who they are.
		{&on.admin, cfg.Admin.Listen, "admin.listen", "the admin listener is for this machine only", false},
	} {
		if l.address == "" {
			continue
		}
		var listener net.Listener
		if config.IsActivated(l.address) {
			listener, err = passed.take(l.setting, strings.TrimPrefix(l.address, "systemd:"))
		} else {
			listener, err = listen(ctx, l.setting, l.address)
		}
		if err != nil {
			return on, err
		}
		open = append(open, listener)
		// localhost is what the machine's resolver makes of it.
		if tcp, ok := listener.Addr().(*net.TCPAddr); l.local != "" && (!ok || !tcp.IP.IsLoopback()) {
			return on, fmt.Errorf("serve: %s is not a loopback address, and %s", listener.Addr(), l.local)
		}
		if l.clients {
			listener = &door{Listener: listener, crowd: all, shared: many, logger: logger}
			if len(cfg.ProxyProtocol) > 0 {
				listener = named(listener, cfg)
			}
		}
		*l.into = listener
	}
	return on, nil
}

// shared are the addresses that stand for many clients: proxies and balancers.
func shared(cfg config.Config) origin.Forwarder {
	return origin.Forwarder{Proxies: append(cfg.Balancers().Proxies, cfg.TLS.Forwarder().Proxies...)}
}

// sockets are those that systemd opened for the process (sd_listen_fds(3)).
type sockets struct{ files []*os.File }

func activated() *sockets { return &sockets{activation.Files(true)} }

// take returns the listener of that name: systemd is the only one.
func (s *sockets) take(setting, name string) (net.Listener, error) {
	i := slices.IndexFunc(s.files, func(f *os.File) bool { return f != nil && f.Name() == name })
	if name == "systemd" && i < 0 && len(s.files) == 1 {
		i = 0
	}
	if i < 0 || s.files[i] == nil {
		var names []string
		for _, f := range s.files {
			if f != nil {
				names = append(names, f.Name())
			}
		}
		return nil, fmt.Errorf("serve: %s: systemd passed no socket %q but %d others %q (FileDescriptorName= in the socket unit names one)", setting, name, len(names), names)
	}
	file := s.files[i]
	s.files[i] = nil
	defer file.Close() // the listener has a copy
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("serve: %s: the socket %q of systemd is no listener: %w", setting, name, err)
	}
	return listener, nil
}

// close closes the sockets that nobody took.
func (s *sockets) close(logger *slog.Logger) {
	for _, f := range s.files {
		if f != nil {
			logger.Warn("no listener is set to the socket that systemd passed", slog.String("socket", f.Name()))
			_ = f.Close()
		}
	}
}

func inDevelopment(cfg config.Config) string {
	if cfg.Dev || cfg.TLS.Dev {
		return "development is on"
	}
	return ""
}

func listen(ctx context.Context, setting, address string) (net.Listener, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err // the rest is said here
		}
		return nil, fmt.Errorf("serve: cannot listen on %s: %w (another address is set by %s or %s)", address, err, setting, config.Variable(setting))
	}
	return listener, nil
}

// named has the balancers of cfg name the clients of their connections. One that
// names none is cut off; what others send of the kind is no TLS, and no HTTP.
func named(l net.Listener, cfg config.Config) net.Listener {
	balancers := cfg.Balancers()
	return &proxyproto.Listener{
		Listener:          l,
		ReadHeaderTimeout: cfg.Limits.HeaderTime,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if balancers.Trusts(o.Upstream.String()) {
				return proxyproto.REQUIRE, nil
			}
			return proxyproto.SKIP, nil
		},
	}
}
