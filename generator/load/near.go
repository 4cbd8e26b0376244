package load

import "strings"

// nearest gives "; did you mean ...?" with the member of n whose name is most
// like key, or "".
func (n *Node) nearest(key string) string {
	best, least := "", max(2, len(key)/3)+1
	for _, m := range n.Members[:min(1000, len(n.Members))] {
		if d := Distance(strings.ToLower(key), strings.ToLower(m.Key)); d < least {
			best, least = m.Key, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + Quote(best) + "?"
}

// Distance is the number of bytes to change, add or drop to make one of the
// other (Levenshtein); 200 where one of them is longer than that.
func Distance(a, b string) int {
	if len(a) > 200 || len(b) > 200 {
		return 200
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = min(diagonal, row[j], row[j-1]) + 1
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}
