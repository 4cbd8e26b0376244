package serve

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/metric"
)

// newMetrics returns what shows all metrics of the process as Prometheus reads
// them: those of package metrics, and those of an application that takes its
// meters from OpenTelemetry's own provider, which is made at the first call.
// Further calls return the same.
var newMetrics = sync.OnceValues(func() (http.Handler, error) {
	registry := prometheus.NewRegistry()
	out, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	for _, c := range []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("serve: %w", err)
		}
	}
	otel.SetMeterProvider(sdk.NewMeterProvider(sdk.WithReader(out)))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}), nil
})
