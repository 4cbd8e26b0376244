package main

import (
	"context"
	"net/http"
	"sync"

	"github.com/gatewright/gatewright/examples/partners/internal/api"
	"github.com/gatewright/gatewright/runtime/gate"
	"github.com/gatewright/gatewright/runtime/problem"
)

// stock is the warehouse. Who may call what has been decided before a method runs.
type stock struct {
	api.Unimplemented

	mu    sync.Mutex
	count map[string]int // by item
}

func newStock() *stock { return &stock{count: map[string]int{"bolt-8": 100}} }

var errNoItem = problem.New(http.StatusNotFound, "no_item", "There is no such item")

func (s *stock) GetStock(_ context.Context, _ gate.Principal, req api.GetStockRequest) (api.GetStockResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	count, ok := s.count[req.Item]
	if !ok {
		return nil, errNoItem
	}
	return api.GetStock200{Body: api.Stock{Item: req.Item, Count: count}}, nil
}

// CreateOrder is called by a company's program in a person's name: the document
// asks for both credentials, and who has both.
func (s *stock) CreateOrder(_ context.Context, who gate.Principal, req api.CreateOrderRequest) (api.CreateOrderResponse, error) {
	company, _ := who.Client()
	person, _ := who.User()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count[req.Body.Item] < req.Body.Count {
		return nil, errNoItem
	}
	s.count[req.Body.Item] -= req.Body.Count
	return api.CreateOrder201{Body: api.Order{Item: req.Body.Item, Count: req.Body.Count, Company: company.ID, Person: person.Subject}}, nil
}

func (s *stock) ReportDelivery(_ context.Context, _ gate.Principal, req api.ReportDeliveryRequest) (api.ReportDeliveryResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[req.Body.Item] += req.Body.Count
	return api.ReportDelivery204{}, nil
}
