package codec

import (
	"errors"
	"fmt"
	"time"
)

// A Date is a day of the calendar without a time or a zone: the format "date"
// of JSON Schema, full-date of RFC 3339, section 5.6. Its zero value is no date
// and cannot be marshaled.
type Date struct {
	Year  int // 0 to 9999
	Month time.Month
	Day   int
}

var errDate = errors.New("codec: not a date like 2006-01-02")

// DateOf returns the day that t falls on in t's own location.
func DateOf(t time.Time) Date {
	var d Date
	d.Year, d.Month, d.Day = t.Date()
	return d
}

// ParseDate reads a date like 2006-01-02, and nothing else. The day must exist.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, errDate // its own text holds what was sent
	}
	return DateOf(t), nil
}

// Time returns midnight of the day in loc.
func (d Date) Time(loc *time.Location) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, loc)
}

// IsZero tells whether d is the zero Date.
func (d Date) IsZero() bool { return d == Date{} }

// String gives d like 2006-01-02.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day) }

// MarshalText gives d like 2006-01-02. It is an error if there is no such day,
// so of the zero Date.
func (d Date) MarshalText() ([]byte, error) {
	s := d.String()
	if parsed, err := ParseDate(s); err != nil || parsed != d {
		return nil, errDate
	}
	return []byte(s), nil
}

// UnmarshalText reads what [ParseDate] reads.
func (d *Date) UnmarshalText(text []byte) error {
	parsed, err := ParseDate(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
