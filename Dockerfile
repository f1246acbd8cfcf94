# tnt_backbone on a CPU, without a compiler: docker build -t tnt_backbone . && docker run -v "$PWD:/data" tnt_backbone predict tnt://digits /data/picture.jpg
FROM python:3.11-slim
WORKDIR /opt/tnt_backbone
COPY . .
# CPU build of torch; opencv-python, which the libraries ask for, needs libraries of a display
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu \
 && pip install --no-cache-dir '.[openmmlab-lite]' \
 && pip uninstall -y opencv-python opencv-python-headless \
 && pip install --no-cache-dir 'opencv-python-headless<5'
WORKDIR /data
ENTRYPOINT ["tnt"]
