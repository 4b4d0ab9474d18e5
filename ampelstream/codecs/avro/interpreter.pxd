# Types for interpreter.py, when Cython compiles it. The program is ours, and read without a check;
# positions in a packet are checked by the interpreter itself; the buffers that are written are
# memoryviews, whose bounds the compiled code checks at each access.
import cython
from cpython.bytes cimport PyBytes_AS_STRING
from libc.math cimport NAN
from libc.string cimport memcpy

ctypedef const unsigned char* Bytes
ctypedef const int* Numbers
ctypedef long long Long

cpdef enum:
    PASS = 0
    FIXED = 1
    VARINT = 2
    SPAN = 3
    F4 = 4
    F8 = 5
    INT = 6
    TEXT = 7
    BOOL = 8
    OPT = 10
    RUN = 20
    NULL_F = 21
    NULL_I = 22
    UNION = 23
    JUMP = 24
    ARRAY = 25
    NEXT = 26
    OMIT = 27
    END = 28

cpdef enum:
    A_NUMBER = -1
    SOME_BYTES = -2
    BRANCH_NUMBER = -3
    BRANCH_BYTES = -4
    NO_BRANCH = -5

cpdef enum:
    CUT = -1
    BRANCH = -2
    NUMBER = -3
    LENGTH = -4
    COUNT = -5
    DEEP = -6
    FULL = -7
    BLOCK = -8

cdef inline double load_f4(Bytes buf, Long at) noexcept nogil:
    cdef float value
    memcpy(&value, buf + at, 4)
    return value

cdef inline double load_f8(Bytes buf, Long at) noexcept nogil:
    cdef double value
    memcpy(&value, buf + at, 8)
    return value

@cython.locals(value="unsigned long long", byte="unsigned char", bits="unsigned long long", shift=int)
cdef (Long, Long) varint(Bytes buf, Long at, Long end) noexcept nogil

@cython.locals(value=Long, size=Long)
cdef (Long, Long) items(Bytes buf, Long at, Long end) noexcept nogil

@cython.locals(branch=int)
cdef Long nullables(Bytes buf, Long at, Long end, int null, int width, int number) noexcept nogil

@cython.locals(
    pc=int, op=int, a=int, b=int, branch=int, depth=int, table=int,
    head_f=Long, head_i=Long, rf=Long, ri=Long, value=Long,
)
cdef Long run(
    Numbers code, Numbers steps, Bytes buf, Long at, Long end, Long row, const Long[::1] layout,
    Long[::1] counts, Long[::1] stack, double[::1] f8, unsigned char[::1] f8n, Long[::1] i8,
    unsigned char[::1] i8n,
) except? -100 nogil

@cython.locals(value=Long)
cdef (Long, Long) record(Bytes buf, Long at, Long end) noexcept nogil

@cython.locals(at=Long)
cdef int clean(
    unsigned char[::1] nulls, Long begin, Long width, Long first, Long behind
) except -1 nogil

@cython.locals(tables=Long, table=Long, first=Long, place=Long, behind=Long)
cdef int one(
    Numbers code, Numbers steps, Bytes buf, Long at, Long end, bint framed, Long k,
    const Long[::1] layout, Long[::1] counts, Long[::1] offsets, Long[::1] status,
    Long[::1] stack, double[::1] f8, unsigned char[::1] f8n, Long[::1] i8, unsigned char[::1] i8n,
) except -1 nogil

@cython.locals(number=Long, k=Long, packet=bytes, buf=Bytes)
cpdef packets(
    const int[::1] code, const int[::1] steps, list values, const Long[::1] starts, Long[::1] addresses, bint framed,
    const Long[::1] layout, Long[::1] counts, Long[::1] offsets, Long[::1] status,
    Long[::1] stack, double[::1] f8, unsigned char[::1] f8n, Long[::1] i8, unsigned char[::1] i8n,
)
