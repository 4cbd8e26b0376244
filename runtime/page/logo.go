package page

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	maxLogo = 64 << 10 // bytes
	maxSide = 2048     // pixels: a small file can unfold into a picture that is none
)

// pictures are the media types of logos, by the ending of the file.
var pictures = map[string]struct {
	media string
	check func([]byte) error
}{
	".svg":  {"image/svg+xml", checkSVG},
	".png":  {"image/png", checkPNG},
	".jpg":  {"image/jpeg", checkJPEG},
	".jpeg": {"image/jpeg", checkJPEG},
	".webp": {"image/webp", checkWebP},
}

// readLogo reads a picture into a data: URI. What a browser would not take for
// the picture that the ending says is refused, so that it is not shown broken.
func readLogo(path string) (template.URL, error) {
	kind, ok := pictures[strings.ToLower(filepath.Ext(path))]
	if !ok {
		return "", fmt.Errorf("page: the logo %s does not end in .svg, .png, .jpg, .jpeg or .webp", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("page: the logo: %w", err)
	}
	if !info.Mode().IsRegular() { // a pipe would have us wait
		return "", fmt.Errorf("page: the logo %s is no file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("page: the logo: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxLogo+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("page: the logo: %w", err)
	case len(b) > maxLogo:
		return "", fmt.Errorf("page: the logo %s has more than %d KiB", path, maxLogo>>10)
	}
	if err := kind.check(b); err != nil {
		return "", fmt.Errorf("page: the logo %s is not what its ending says: %w", path, err)
	}
	return template.URL("data:" + kind.media + ";base64," + base64.StdEncoding.EncodeToString(b)), nil
}

// checkSVG wants a well-formed document whose root is svg. In an img element
// a browser runs no script of it and loads nothing for it; entities of its own,
// which may grow without end, are refused here.
func checkSVG(b []byte) error {
	d := xml.NewDecoder(bytes.NewReader(b))
	depth, roots := 0, 0
	for {
		token, err := d.Token()
		if err == io.EOF && roots == 0 {
			return errors.New("it is empty")
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch e := token.(type) {
		case xml.Directive:
			return errors.New("it has a document type")
		case xml.StartElement:
			if depth == 0 && (e.Name.Local != "svg" || e.Name.Space != "http://www.w3.org/2000/svg" || roots > 0) {
				return errors.New("its root is not the one element svg of http://www.w3.org/2000/svg")
			}
			if depth == 0 {
				roots++
			}
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(e)) > 0 {
				return errors.New("there is text beside its root")
			}
		}
	}
}

func checkPNG(b []byte) error {
	c, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return err
	}
	if err := checkSides(c.Width, c.Height); err != nil {
		return err
	}
	_, err = png.Decode(bytes.NewReader(b))
	return err
}

func checkJPEG(b []byte) error {
	c, err := jpeg.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return err
	}
	if err := checkSides(c.Width, c.Height); err != nil {
		return err
	}
	_, err = jpeg.Decode(bytes.NewReader(b))
	return err
}

// checkWebP looks at the container (RFC 9649, section 2.4) and its first chunk.
func checkWebP(b []byte) error {
	if len(b) < 20 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WEBP" {
		return errors.New("it does not begin as a WebP")
	}
	size := uint64(binary.LittleEndian.Uint32(b[4:]))
	if size+8 != uint64(len(b)) {
		return errors.New("it is cut off, or goes on behind its end")
	}
	switch string(b[12:16]) {
	case "VP8 ", "VP8L", "VP8X":
	default:
		return errors.New("it holds no picture")
	}
	if chunk := uint64(binary.LittleEndian.Uint32(b[16:])); chunk > size-12 {
		return errors.New("its first chunk is cut off")
	}
	return nil
}

func checkSides(width, height int) error {
	if width < 1 || height < 1 || width > maxSide || height > maxSide {
		return fmt.Errorf("it is %d × %d pixels; at most %d are taken", width, height, maxSide)
	}
	return nil
}
