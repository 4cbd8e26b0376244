package load

// Step follows the one $ref of n, which may lead to a further reference with
// members of its own beside it. It returns n itself where n is no reference.
// The error is a *RefError.
func (d *Document) Step(n *Node) (*Node, error) {
	ref := n.Ref()
	if ref == nil {
		return n, nil
	}
	return d.target(ref)
}
