package serve

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/origin"
	"github.com/gatewright/gatewright/runtime/problem"
)

// A crowd counts what is under way, of everybody and of each address.
type crowd struct {
	most, mostEach int

	mu   sync.Mutex
	all  int
	each map[netip.Addr]int
}

func newCrowd(most, mostEach int) *crowd {
	return &crowd{most: most, mostEach: mostEach, each: make(map[netip.Addr]int)}
}

// enter counts one more of an address, unless there are too many: of everybody
// where full, else of that address. shared addresses stand for many clients and
// have no limit of their own.
func (c *crowd) enter(a netip.Addr, shared bool) (ok, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.all >= c.most:
		return false, true
	case !shared && c.each[a] >= c.mostEach:
		return false, false
	}
	c.all++
	c.each[a]++
	return true, false
}

func (c *crowd) leave(a netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.each[a]--; c.each[a] == 0 {
		delete(c.each, a)
	}
}

// bounded has next serve as many requests at once as the crowd takes: others are
// answered 503, or 429 where the client's address has too many. Both are told
// before anything is read of a body. An address of shared is that of a proxy
// which names no client.
func (c *crowd) bounded(shared origin.Forwarder, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := limit.Address(r)
		ok, full := c.enter(from, shared.Trusts(r.RemoteAddr))
		if !ok {
			w.Header().Set("Retry-After", "1")
			if full {
				problem.Write(w, r, problem.New(http.StatusServiceUnavailable, "server_busy", "The server has too many requests at once."))
			} else {
				problem.Write(w, r, problem.New(http.StatusTooManyRequests, "too_many_at_once", "Too many requests come from your address at once."))
			}
			return
		}
		defer c.leave(from)
		next.ServeHTTP(w, r)
	})
}

// quietTime is the least between two lines about connections that were turned
// away: whoever opens them is not to fill the log.
const quietTime = time.Minute

// A door lets as many connections in as the crowd takes, and closes others as
// they come.
type door struct {
	net.Listener
	crowd  *crowd
	shared origin.Forwarder // addresses of many clients: proxies and balancers
	logger *slog.Logger

	said time.Time // by Accept alone
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		remote := conn.RemoteAddr().String()
		from := limit.AddressOf(remote)
		ok, full := d.crowd.enter(from, d.shared.Trusts(remote))
		if ok {
			return &guest{Conn: conn, leave: sync.OnceFunc(func() { d.crowd.leave(from) })}, nil
		}
		_ = conn.Close()
		if now := time.Now(); now.Sub(d.said) >= quietTime {
			d.said = now
			cause := "limits.connections_per_address"
			if full {
				cause = "limits.connections"
			}
			d.logger.Warn("connections are turned away", slog.String("cause", cause), slog.String("address", remote))
		}
	}
}

// A guest is a connection that is counted until it is closed.
type guest struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
