"""OME-TIFF files as microscopes write them: one description, frames in one file or in several."""

import tifffile

_OME = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'


def description(frames, about="", data="<TiffData/>", uuid="", count=None):
    """The XML of one image, `about` being further attributes of its pixels."""
    count, (height, width) = len(frames) if count is None else count, frames.shape[1:]
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME {_OME} {uuid}><Image ID="Image:0"><Pixels ID="Pixels:0" '
        f'DimensionOrder="XYZCT" Type="{frames.dtype}" SizeX="{width}" SizeY="{height}" SizeZ="1" SizeC="1" '
        f'SizeT="{count}" {about}><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{data}</Pixels></Image></OME>'
    )


def write_pages(path, frames, description=None):
    """A page per frame, with a description on the first."""
    with tifffile.TiffWriter(path) as tiff:
        for t, frame in enumerate(frames):
            text = description if t == 0 else None
            tiff.write(frame, photometric="minisblack", metadata=None, description=text, contiguous=False)
    return path


def write_set(folder, frames, each, without=(), named="part{}.ome.tif"):
    """Files of `each` frames that name one another; those of the numbers `without` are not there."""
    name, uuid = named.format, "urn:uuid:{}0000000-1111-1111-1111-111111111111".format
    data = "".join(
        f'<TiffData FirstT="{t}" FirstC="0" FirstZ="0" IFD="{t % each}" PlaneCount="1">'
        f'<UUID FileName="{name(t // each)}">{uuid(t // each)}</UUID></TiffData>'
        for t in range(len(frames))
    )
    for part in range(len(frames) // each):
        if part not in without:
            text = description(frames, data=data, uuid=f'UUID="{uuid(part)}"')
            write_pages(folder / f"part{part}.ome.tif", frames[part * each : (part + 1) * each], text)
    return folder


def write_part_without_description(path, frames, main):
    """A file of a set that only says which file describes the set."""
    uuid = "urn:uuid:{}0000000-1111-1111-1111-111111111111".format
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><OME {_OME} UUID="{uuid(1)}">'
        f'<BinaryOnly MetadataFile="{main}" UUID="{uuid(0)}"/></OME>'
    )
    return write_pages(path, frames, text)
