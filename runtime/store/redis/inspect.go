package redis

import (
	"context"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gatewright/gatewright/runtime/store"
)

// Inspect implements store.Inspector. Redis has no tables.
func (driver) Inspect(ctx context.Context, url string) (store.Schema, error) {
	options, _, err := parse(url)
	if err != nil {
		return store.Schema{}, fmt.Errorf("redis: %w", err)
	}
	quiet()
	client := goredis.NewClient(options)
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	info, err := client.Info(ctx).Result()
	if goredis.HasErrorPrefix(err, "NOPERM") {
		info, err = "", client.Ping(ctx).Err()
	}
	if err == nil {
		_, err = checkInfo(info)
	}
	if err != nil {
		return store.Schema{}, fmt.Errorf("redis: %s: %w", options.Addr, err)
	}
	return store.Schema{}, nil
}
