package apikey

// Hint is what a person tells a key by: how it begins, as far as that is no
// secret.
func (k *Keys) Hint(rec Record) string {
	return k.cfg.Prefix + "_" + string(rec.Environment) + "_" + rec.ID + "_…"
}
