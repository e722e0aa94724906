package getter

import (
	"errors"
	"net/url"
)

// GCSGetter would fetch modules from Google's storage. No module of ours lies there, and its client is the largest of all.
type GCSGetter struct {
	getter
}

var errLeftOut = errors.New("this build does not fetch from Google Cloud Storage")

// ClientMode fails.
func (*GCSGetter) ClientMode(*url.URL) (ClientMode, error) {
	return 0, errLeftOut
}

// Get fails.
func (*GCSGetter) Get(string, *url.URL) error {
	return errLeftOut
}

// GetFile fails.
func (*GCSGetter) GetFile(string, *url.URL) error {
	return errLeftOut
}
