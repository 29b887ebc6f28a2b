# Attaches the arrays of a project read-only in Julia 1.6 or newer, as docs/format.md describes. Needs only Julia's
# standard library.
#
#   julia reader.jl /tmp/cute-shm/cute-shm.weather.toml
#
# Prints a line for each array: path, dtype, shape, and the sum of its elements if they are numbers.
# Segments are in $CUTE_SHM_DIR, else in /dev/shm.
#
# Julia's first axis varies fastest, numpy's last one does: an array of shape (3, 4) in the metadata has
# size (4, 3) here, and x[i, j] in Python, from 0, is x[j + 1, i + 1] here. Nothing is copied.

using Mmap, TOML

const ELEMENTS = Dict(
    "bool" => Bool,
    "int8" => Int8, "int16" => Int16, "int32" => Int32, "int64" => Int64,
    "uint8" => UInt8, "uint16" => UInt16, "uint32" => UInt32, "uint64" => UInt64,
    "float16" => Float16, "float32" => Float32, "float64" => Float64,
    "complex64" => ComplexF32, "complex128" => ComplexF64,
    "i1" => Int8, "i2" => Int16, "i4" => Int32, "i8" => Int64,
    "u1" => UInt8, "u2" => UInt16, "u4" => UInt32, "u8" => UInt64,
    "f2" => Float16, "f4" => Float32, "f8" => Float64,
    "c8" => ComplexF32, "c16" => ComplexF64,
)

"Returns the element type, and whether its byte order differs from this machine's. Fixed strings are tuples of bytes."
function element(dtype)
    haskey(ELEMENTS, dtype) && return ELEMENTS[dtype], false
    order, code = dtype[1], dtype[2:end]
    if order == '|' && code[1] in "SV"
        return NTuple{parse(Int, code[2:end]), UInt8}, false
    end
    (order in "<>" && haskey(ELEMENTS, code)) || error("no Julia type for the dtype '$dtype'")
    return ELEMENTS[code], (order == '>') == (ENDIAN_BOM == 0x04030201)
end

swap(x::Complex) = complex(swap(real(x)), swap(imag(x)))
swap(x::Real) = bswap(x)

"Maps the array of one entry of the metadata. Copies it only if its byte order differs from this machine's."
function attach(entry; shm = get(ENV, "CUTE_SHM_DIR", "/dev/shm"))
    type, swapped = element(entry["dtype"])
    dims = Tuple(reverse(Int.(entry["shape"])))
    count = prod(dims)
    count == 0 && return Array{type}(undef, dims)
    file = joinpath(shm, entry["shm_name"])
    # An access beyond the end of a file is a bus error: check the length first.
    filesize(file) >= count * sizeof(type) || error("'$file' is too short")
    values = open(io -> Mmap.mmap(io, Vector{type}, (count,)), file)
    array = reshape(values, dims)
    return swapped ? swap.(array) : array
end

text(bytes::NTuple) = String(collect(Iterators.takewhile(!iszero, bytes)))

"Calls `use(path, entry)` for every array: a table with the key shm_name."
function walk(use, table, path = "")
    for (name, entry) in sort!(collect(table); by = first)
        haskey(entry, "shm_name") ? use("$path/$name", entry) : walk(use, entry, "$path/$name")
    end
end

function main(metadata)
    walk(TOML.parsefile(metadata)) do path, entry
        array = attach(entry)
        shape = join(entry["shape"], ", ")
        if eltype(array) <: Number
            total = isempty(array) ? 0.0 : real(sum(ComplexF64, array))
            println("$path $(entry["dtype"]) ($shape) sum $total")
        else
            first = isempty(array) ? "" : text(array[1])
            println("$path $(entry["dtype"]) ($shape) first $(repr(first))")
        end
    end
end

abspath(PROGRAM_FILE) == @__FILE__() && main(only(ARGS))
