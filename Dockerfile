# fdifc with everything that training needs. On a CPU:
#
#     docker build -t fdif-dsl .
#     docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" fdif-dsl generate --count 8 -o volumes
#
# For GPUs of NVIDIA:  docker build -t fdif-dsl:cuda --build-arg EXTRAS=train,nnunet,blosc2,cuda --build-arg TORCH= .
#                      docker run --rm --gpus all --shm-size 8g ...

FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
# Wheels of torch without CUDA are a tenth of the size; empty takes those of PyPI.
ARG TORCH=https://download.pytorch.org/whl/cpu
# What the extras are: pyproject.toml.
ARG EXTRAS=train,nnunet,blosc2
COPY --from=build /wheels /wheels
COPY constraints.txt /
RUN pip install --no-cache-dir -c /constraints.txt ${TORCH:+--index-url "$TORCH"} torch \
    && pip install --no-cache-dir -c /constraints.txt "$(ls /wheels/*.whl)[$EXTRAS]" \
    && rm -rf /wheels
# Kernels are compiled here once, for a level of CPUs and not for the one that builds: the image runs on others. Whatever
# user it runs as may add to them, and trusts what is there: nobody else is in a container.
ARG CPU=x86-64-v3
ENV FDIF_CPU=$CPU FDIF_CACHE_DIR=/cache FDIF_TRUST=/cache MPLCONFIGDIR=/cache/matplotlib
RUN python -c "import fdif_dsl as fd; fd.load_library().compile()" && chmod -R a+rwX /cache
WORKDIR /data
ENTRYPOINT ["fdifc"]
