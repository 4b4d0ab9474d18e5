"""Runs a program over the bytes of packets: values go into buffers, none becomes a Python object.

One source, two speeds. This file is plain Python, and runs as it is; where a C compiler was at hand
when the package was built, it was compiled by Cython with the types of ``interpreter.pxd``, and
runs ten to forty times as fast and without holding the interpreter lock. ``backend.py`` chooses.

A program (``program.py``) is a flat list of integers, four for each instruction: what to do, and
three operands. Nothing is read without a look at where the packet ends, and nothing is written
without a look at how much room there is. Every item of an array takes a byte at least, and a
program has no loop but that over such items: whatever the bytes say, it ends.

Values that are wanted go into two buffers of numbers: ``f8`` (float, double) and ``i8`` (int, long,
boolean; of text and bytes the position of the first byte, and in the next place the number of
bytes). A buffer beside each says where there is null, which is not the same as NaN. The place that
an instruction names counts from where the values of its row begin.
"""

import struct

try:
    import cython
except ImportError:  # only compiling needs it
    from ampelstream.codecs.avro import uncompiled as cython

if not cython.compiled:
    # The compiler has the same in interpreter.pxd; a test compares them. What is done, with what:
    # the values that the next instructions pass over, at once: how many, behind these
    # instructions; where the steps of each begin follows. For the plain interpreter only
    PASS = 0
    # a value is passed over: -, width
    FIXED, VARINT, SPAN = 1, 2, 3
    # a value is kept: -, place
    F4, F8, INT, TEXT, BOOL = 4, 5, 6, 7, 8
    # the same in a union with null: first byte where it is null, width or place
    OPT = 10
    # some nullable values of the same fixed width: first byte of null, width, how many
    RUN = 20
    # nothing is read: -, place of what is null
    NULL_F, NULL_I = 21, 22
    # of a union: number of branches; where each is handled follows
    UNION = 23
    JUMP = 24  # where to
    # of an array, before its first item, behind one, and behind one that is not kept: where an item
    # begins, what is behind the array, the table that its items are rows of (0: none)
    ARRAY, NEXT, OMIT = 25, 26, 27
    END = 28

    # Steps: how far a value goes, by its first byte; or what it is instead
    A_NUMBER, SOME_BYTES, BRANCH_NUMBER, BRANCH_BYTES, NO_BRANCH = -1, -2, -3, -4, -5

    CUT, BRANCH, NUMBER, LENGTH, COUNT, DEEP, FULL, BLOCK = range(-1, -9, -1)
    """What is wrong: the data ends within a value; no such branch; a number of more than 64 bits; a
    length, or a number of items, that the packet has no room for; arrays in arrays in arrays; more
    rows than there is room for; the container's first block does not hold one record."""

    _F4 = struct.Struct("<f").unpack_from
    _F8 = struct.Struct("<d").unpack_from
    NAN = float("nan")


def varint(buf, at, end):
    """Number of up to 64 bits, and the position behind it; -1 where it is cut off or too long."""
    value = 0
    shift = 0
    while at < end:
        byte = buf[at]
        at += 1
        bits = byte & 0x7F
        value |= bits << shift
        if byte < 0x80:
            if shift == 63 and byte > 1:
                break
            return (value >> 1) ^ -(value & 1), at
        shift += 7
        if shift > 63:
            break
    return 0, -1


def items(buf, at, end):
    """Number of items of the next block of an array, and the position behind; at < 0: why not."""
    value, at = varint(buf, at, end)
    if at < 0:
        return 0, NUMBER
    if value < 0:  # a block that says how many bytes it has
        size, at = varint(buf, at, end)
        if at < 0:
            return 0, NUMBER
        if size < 0 or size > end - at:
            return 0, LENGTH
        value = -value
    if value < 0 or value > end - at:  # -2**63 stays negative
        return 0, COUNT
    return value, at


def nullables(buf, at, end, null, width, number):
    """Position behind so many nullable values of a width; negative: why not."""
    for _ in range(number):
        if at >= end:
            return CUT
        branch = buf[at]
        at += 1
        if branch != null:
            if branch != 2 - null:
                return BRANCH
            at += width
    return at if at <= end else CUT


if not cython.compiled:

    def _passed_at_once(bases, steps, buf, at):
        """Position behind some values that are passed over, or -1 where one is not as expected.

        Where the packet ends is not looked at.
        """
        try:
            for base in bases:
                step = steps[base + buf[at]]
                if step >= 0:
                    at += step
                elif step == NO_BRANCH:
                    return -1
                else:
                    if step <= BRANCH_NUMBER:
                        at += 1
                    if step == A_NUMBER or step == BRANCH_NUMBER:
                        last = at + 8
                        while buf[at] > 127:
                            at += 1
                        if at > last:  # it may be too long
                            return -1
                        at += 1
                    else:
                        length = buf[at]
                        at += 1
                        if length > 127:
                            length += (buf[at] - 1) << 7
                            at += 1
                        if length & 0x4001:  # negative, or of more than two bytes
                            return -1
                        at += length >> 1
        except IndexError:
            return -1
        return at


def run(code, steps, buf, at, end, row, layout, counts, stack, f8, f8n, i8, i8n):
    """Run a program over one record.

    Parameters
    ----------
    code
        The program.
    steps
        Of the types of values that are passed over at once: 256 for each.
    buf
        The packet.
    at, end
        Where the record begins, and where the packet ends.
    row
        Of the packet, in its table.
    layout
        For each table five numbers: where its values begin in ``f8`` and in ``i8``, how many a row
        has of each, and how many rows there is room for.
    counts
        Rows that each table has; brought forward.
    stack
        Room for the number of items that are left, of each array in another.
    f8, f8n, i8, i8n
        Values, and whether they are null, which nothing is before.

    Returns
    -------
    int
        Position behind what was read; negative where it is corrupt: why.
    """
    pc = 0
    depth = -1
    head_f = layout[0] + row * layout[2]
    head_i = layout[1] + row * layout[3]
    rf = head_f
    ri = head_i
    while True:
        op = code[pc]
        a = code[pc + 1]
        b = code[pc + 2]
        pc += 4
        if op < RUN:
            if not cython.compiled and op == PASS:
                behind = _passed_at_once(code[pc : pc + a], steps, buf, at)
                if 0 <= behind <= end:
                    at = behind
                    pc = b
                else:
                    pc += (a + 3) // 4 * 4
                continue
            if op > OPT:
                if at >= end:
                    return CUT
                branch = buf[at]
                at += 1
                op -= OPT
                if branch == a:
                    if op >= INT:
                        i8[ri + b] = 0
                        i8n[ri + b] = 1
                        if op == TEXT:
                            i8[ri + b + 1] = 0
                    elif op >= F4:
                        f8[rf + b] = NAN
                        f8n[rf + b] = 1
                    continue
                if branch != 2 - a:
                    return BRANCH
            if op == F4:
                if at + 4 > end:
                    return CUT
                if cython.compiled:
                    f8[rf + b] = load_f4(buf, at)
                else:
                    f8[rf + b] = _F4(buf, at)[0]
                at += 4
            elif op == F8:
                if at + 8 > end:
                    return CUT
                if cython.compiled:
                    f8[rf + b] = load_f8(buf, at)
                else:
                    f8[rf + b] = _F8(buf, at)[0]
                at += 8
            elif op == FIXED:
                at += b
                if at > end:
                    return CUT
            elif op == BOOL:
                if at >= end:
                    return CUT
                i8[ri + b] = buf[at] != 0
                at += 1
            else:
                value, at = varint(buf, at, end)
                if at < 0:
                    return NUMBER
                if op == INT:
                    i8[ri + b] = value
                elif op != VARINT:
                    if value < 0 or value > end - at:
                        return LENGTH
                    if op == TEXT:
                        i8[ri + b] = at
                        i8[ri + b + 1] = value
                    at += value
        elif op == RUN:
            at = nullables(buf, at, end, a, b, code[pc - 1])
            if at < 0:
                return at
        elif op >= ARRAY and op <= OMIT:
            table = code[pc - 1]
            if op == ARRAY:
                depth += 1
                if depth == len(stack):
                    return DEEP
                stack[depth] = 0
            else:
                stack[depth] -= 1
                if op == NEXT and table > 0:
                    counts[table] += 1
            if stack[depth] <= 0:
                value, at = items(buf, at, end)
                if at < 0:
                    return at
                if value == 0:
                    depth -= 1
                    pc = b
                    if table > 0:
                        rf = head_f
                        ri = head_i
                    continue
                stack[depth] = value
            pc = a
            if table > 0:
                row = counts[table]
                table *= 5
                if row >= layout[table + 4]:
                    return FULL
                rf = layout[table] + row * layout[table + 2]
                ri = layout[table + 1] + row * layout[table + 3]
        elif op == UNION:
            value, at = varint(buf, at, end)
            if at < 0:
                return NUMBER
            if value < 0 or value >= a:
                return BRANCH
            pc = code[pc + value]
        elif op == JUMP:
            pc = a
        elif op == NULL_F:
            f8[rf + b] = NAN
            f8n[rf + b] = 1
        elif op == NULL_I:
            i8[ri + b] = 0
            i8n[ri + b] = 1
        else:
            return at


def record(buf, at, end):
    """Where the record of a container's only block begins and ends; begin < 0: it is no such.

    Parameters
    ----------
    buf
        The container.
    at, end
        Where its header ends, and where its data does.
    """
    value, at = varint(buf, at, end)
    if at < 0 or value != 1:
        return BLOCK, 0
    value, at = varint(buf, at, end)
    if at < 0 or value < 0 or value > end - at:
        return BLOCK, 0
    return at, at + value


def clean(nulls, begin, width, first, behind):
    """Forget the nulls of rows that are taken back, the one that was begun included."""
    for at in range(begin + first * width, begin + behind * width):
        nulls[at] = 0


def one(
    code, steps, buf, at, end, framed, k, layout, counts, offsets, status, stack, f8, f8n, i8, i8n
):
    """Run a program over the packet of number ``k``; see `packets`."""
    tables = len(counts)
    if framed:
        at, end = record(buf, at, end)
    if at >= 0:
        at = run(code, steps, buf, at, end, k, layout, counts, stack, f8, f8n, i8, i8n)
    status[k] = at
    for table in range(tables):
        if at < 0 and table > 0:
            first = offsets[k * tables + table]
            place = 5 * table
            behind = min(counts[table] + 1, layout[place + 4])
            clean(f8n, layout[place], layout[place + 2], first, behind)
            clean(i8n, layout[place + 1], layout[place + 3], first, behind)
            counts[table] = first
        offsets[(k + 1) * tables + table] = counts[table]


def packets(
    code,
    steps,
    values,
    starts,
    addresses,
    framed,
    layout,
    counts,
    offsets,
    status,
    stack,
    f8,
    f8n,
    i8,
    i8n,
):
    """Run a program over packets; rows that a corrupt one has left in the tables are taken back.

    Parameters
    ----------
    code, steps, layout, stack, f8, f8n, i8, i8n
        See `run`.
    values
        The packets, bytes.
    starts
        Where the record of each begins; of a container, where its header ends.
    addresses
        Room for a number for each packet.
    framed
        Whether they are containers (without compression).
    counts
        Rows that each table has; brought forward.
    offsets
        For each packet, and behind the last, the rows of each table before it.
    status
        For each packet what `run` gives of it.
    """
    number = len(values)
    if not cython.compiled:
        for k in range(number):
            buf = values[k]
            one(
                *(
                    code,
                    steps,
                    buf,
                    starts[k],
                    len(buf),
                    framed,
                    k,
                    layout,
                    counts,
                    offsets,
                    status,
                ),
                *(stack, f8, f8n, i8, i8n),
            )
        return
    for k in range(number):
        packet = values[k]
        addresses[2 * k] = cython.cast(cython.size_t, PyBytes_AS_STRING(packet))
        addresses[2 * k + 1] = len(packet)
    with cython.nogil:
        for k in range(number):
            buf = cython.cast(Bytes, cython.cast(cython.size_t, addresses[2 * k]))
            one(
                cython.address(code[0]), cython.address(steps[0]), buf, starts[k],
                addresses[2 * k + 1], framed, k, layout, counts, offsets, status, stack,
                f8, f8n, i8, i8n,
            )  # fmt: skip
