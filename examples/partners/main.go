// Partners is an example of a server whose callers are programs: companies with
// certificates, carriers that sign what they send, a scanner with a password,
// and people with access tokens beside them. What the application verifies
// itself stands in carriers.go and scanners.go; the rest is openapi.yaml's.
package main

import (
	"cmp"
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/gatewright/gatewright/examples/partners/internal/api"
	"github.com/gatewright/gatewright/runtime/config"
	"github.com/gatewright/gatewright/runtime/custom"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/limit"
	"github.com/gatewright/gatewright/runtime/store/sqlite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	cfg, err := config.Load(os.Args[1:], os.Getenv)
	if err != nil {
		log.Fatal(err) // names every setting that is missing or wrong
	}
	schemes, err := verifiers(cmp.Or(os.Getenv("PARTNERS_SECRETS"), "secrets"))
	if err != nil {
		log.Fatal(err)
	}
	if err := api.RunWith(ctx, cfg, newStock(), schemes, sqlite.Driver); err != nil {
		log.Fatal(err)
	}
}

// verifiers are those of the application's own. Their secrets are files of dir.
func verifiers(dir string) (schemes api.Schemes, err error) {
	carriers, err := readCarriers(dir)
	if err != nil {
		return schemes, err
	}
	scanners, err := readScanners(dir)
	if err != nil {
		return schemes, err
	}
	if schemes.Carrier, err = custom.Request(carriers, gate.Authorization("hmac")); err != nil {
		return schemes, err
	}
	schemes.Scanner, err = custom.Basic(scanners, limit.Limits{})
	return schemes, err
}
