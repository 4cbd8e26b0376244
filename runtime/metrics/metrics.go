// Package metrics counts and times what a server does, through OpenTelemetry. No
// label holds a credential, a name or an address of a person, nor anything that a
// client can make up: there are as many series as operations, statuses and
// reasons.
//
// What is counted goes to OpenTelemetry's own meter provider, which does nothing
// until there is one: package serve makes one where there is an admin listener.
package metrics

import (
	"context"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// seconds are the bounds of histograms: from what a cache answers to what takes
// too long.
var seconds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

var (
	meter    = otel.Meter("github.com/gatewright/gatewright")
	requests = histogram("http.server.request.duration", "How long requests took, by operation and status.")
	stores   = histogram("gatewright.store.duration", "How long calls of the store took.")
	calls    = histogram("http.client.request.duration", "How long calls of identity providers took, until their answer began.")

	decisions = must(meter.Int64Counter("gatewright.decisions",
		metric.WithDescription("Who was let in, and why not, by operation.")))
	underWay = must(meter.Int64UpDownCounter("http.server.active_requests",
		metric.WithDescription("Requests under way.")))
)

func histogram(name, about string) metric.Float64Histogram {
	return must(meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(about), metric.WithExplicitBucketBoundaries(seconds...)))
}

// must returns an instrument. It panics for a name that OpenTelemetry refuses,
// which is a constant.
func must[T any](instrument T, err error) T {
	if err != nil {
		panic(err)
	}
	return instrument
}

// methods are those that label series; of others, which clients make up, there is
// one.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace, "QUERY",
}

func method(name string) string {
	if slices.Contains(methods, name) {
		return name
	}
	return "_OTHER" // as OpenTelemetry's conventions have it
}

// Begin notes that a request is under way, End how it went: operation is empty
// where none was asked for.
func Begin(ctx context.Context) { underWay.Add(ctx, 1) }

// End is the counterpart of [Begin].
func End(ctx context.Context, operation, methodName string, status int, took time.Duration) {
	underWay.Add(ctx, -1)
	requests.Record(ctx, took.Seconds(), metric.WithAttributes(
		attribute.String("operation", operation), attribute.String("http.request.method", method(methodName)), attribute.Int("http.response.status_code", status)))
}

// Decision notes that a caller of an operation was let in, or refused: then
// reason is the code that they were told.
func Decision(ctx context.Context, operation, reason string) {
	outcome := "allowed"
	if reason != "" {
		outcome = "refused"
	}
	decisions.Add(ctx, 1, metric.WithAttributes(
		attribute.String("operation", operation), attribute.String("outcome", outcome), attribute.String("reason", reason)))
}

// Store notes a call of a store: of is what it keeps, as keys, and call the name
// of the method.
func Store(ctx context.Context, of, call string, failed bool, took time.Duration) {
	if !stores.Enabled(ctx) {
		return // and no label is made
	}
	stores.Record(ctx, took.Seconds(), metric.WithAttributes(
		attribute.String("store", of), attribute.String("call", call), attribute.Bool("failed", failed)))
}

// Call notes a call of an identity provider at a host; status is 0 where none
// answered.
func Call(ctx context.Context, host, methodName string, status int, took time.Duration) {
	if !calls.Enabled(ctx) {
		return
	}
	calls.Record(ctx, took.Seconds(), metric.WithAttributes(
		attribute.String("server.address", host), attribute.String("http.request.method", method(methodName)), attribute.Int("http.response.status_code", status)))
}
