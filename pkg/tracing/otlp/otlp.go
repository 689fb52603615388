// SPDX-License-Identifier: Apache-2.0

// Package otlp exports the daemon's spans to where OpenTelemetry's standard
// variables say (OTEL_EXPORTER_OTLP_ENDPOINT and the others of the SDK and of
// the OTLP exporter, over HTTP).
package otlp

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/thicket-cni/thicket/pkg/brief"
)

// flushPatience is how long the last spans may take when the daemon ends.
const flushPatience = 2 * time.Second

// wanted reports whether the environment asks for spans to be exported. What it
// asks for and cannot be had is an error.
func wanted() (bool, error) {
	endpoint := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	exporter := cmp.Or(os.Getenv("OTEL_TRACES_EXPORTER"), "otlp")
	protocol := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf")
	switch {
	case endpoint == "" || exporter == "none" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true"):
		return false, nil
	case exporter != "otlp":
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER %q is not otlp", exporter)
	case protocol != "http/protobuf":
		return false, fmt.Errorf("the protocol %q is not http/protobuf; set OTEL_EXPORTER_OTLP_PROTOCOL, and the endpoint to the receiver's HTTP port (4318)", protocol)
	}
	return true, nil
}

// Open returns what makes and exports spans, nil when the environment asks for
// none. Errors say which variable is at fault. A receiver that is away costs
// spans and nothing else.
func Open(ctx context.Context, version string, log *slog.Logger) (*trace.TracerProvider, error) {
	is, err := wanted()
	if err != nil || !is {
		return nil, err
	}
	otel.SetErrorHandler(&complaints{log: log})
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("the exporter of spans: %w", err)
	}
	// What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say comes last and counts.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "thicketd"), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about)), nil
}

// Close sends the last spans; a nil provider has none.
func Close(p *trace.TracerProvider, log *slog.Logger) {
	if p == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushPatience)
	defer cancel()
	if err := p.Shutdown(ctx); err != nil {
		log.Warn("the last spans could not be sent", "error", err)
	}
}

// complaintPause is how often a receiver that is away is worth a line in the log.
const complaintPause = time.Minute

// complaints logs the SDK's errors, the first of a series.
type complaints struct {
	log  *slog.Logger
	mu   sync.Mutex
	last time.Time
}

// Handle implements otel.ErrorHandler.
func (c *complaints) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.last) < complaintPause {
		return
	}
	c.last = time.Now()
	c.log.Warn("spans could not be sent", "error", brief.Cut(err.Error(), brief.Line))
}
