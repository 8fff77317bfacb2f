# imagepipe in an image; docs/clusters.md says how it is built and run.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
# cpu: PyTorch's build without CUDA. cuda: the package registry's own, some gigabytes larger.
ARG TORCH=cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# More packages, such as "ray[default] datasets".
ARG MORE=""
# Options for pip, such as "--no-index --find-links /wheels".
ARG PIP_OPTIONS=""
COPY . /source
RUN python3 -m venv /opt/imagepipe \
    && if [ "$TORCH" = cpu ]; then index="--extra-index-url $TORCH_INDEX"; fi \
    && /opt/imagepipe/bin/pip install --no-cache-dir --no-compile --no-input $index $PIP_OPTIONS \
        -c /source/requirements.lock /source $MORE
# This shows that the image can draw, and compiles what Python imports: later nobody may write there.
RUN cd /tmp && /opt/imagepipe/bin/imagepipe limit=2 outputs=/tmp/tried hydra.run.dir=/tmp/tried/run

FROM ${BASE}
COPY --from=build /opt/imagepipe /opt/imagepipe
# The only place to write, beside /tmp. Every user may: platforms choose the user themselves.
RUN mkdir /work && chmod 1777 /work
# An arbitrary user id has no name in the image; USER gives it one.
ENV PATH=/opt/imagepipe/bin:$PATH HOME=/work USER=imagepipe
WORKDIR /work
USER 1000:0
HEALTHCHECK --interval=5m --timeout=1m CMD ["imagepipe", "doctor", "--no-presets"]
ENTRYPOINT ["imagepipe"]
CMD ["--help"]
