"""The code of the README: a small network learns handwritten digits."""

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.data import DataLoader, TensorDataset, load_digits, train_test_split

mg.manual_seed(0)
x_train, x_test, y_train, y_test = train_test_split(*load_digits(flatten=True))
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=64, shuffle=True, drop_last=True)
model = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.Sigmoid(), nn.Linear(64, 10))
optimizer = optim.SGD(model.parameters(), lr=0.3)
for epoch in range(1, 6):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    with mg.no_grad():
        right = model(mg.tensor(x_test)).argmax(1) == mg.tensor(y_test)
    print(f"epoch {epoch}: loss {loss.item():.2f}, test accuracy {right.float().mean().item():.2f}")
